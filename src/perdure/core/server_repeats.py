"""What a server does as it did it before, in one step: the same head received, the same response sent.

On persistent connections most exchanges are like the one before. Each method here is one of
`Connection`'s, or several of them, for the case that nothing asks for another look; it does all of
it or says that it did nothing. That they come to the same is what tests/core/test_server_repeats.py shows.

RFC 9112 §9.3 (persistence), §9.3.2 (pipelining).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from perdure.core import writer
from perdure.core.connection import NO_REQUEST, Connection
from perdure.core.events import Prepared, Request, Response
from perdure.core.fields import Facts
from perdure.core.framing import Outgoing
from perdure.core.keepalive import format_hints
from perdure.core.limits import Limits
from perdure.core.persistence import SAY_NOTHING, Announce, Announcement, Role
from perdure.core.reader import Phase
from perdure.core.reason import Reason
from perdure.core.request_heads import RequestHeads
from perdure.core.response_likeness import LikeResponse
from perdure.core.states import State
from perdure.core.terms import Terms

# Looking up a member of an Enum costs 0.2 µs on CPython 3.11, a global 0.02 (bench/bench_server.py).
_IDLE, _DONE = State.IDLE, State.DONE
_HEAD, _PHASE_DONE = Phase.HEAD, Phase.DONE
_PERSISTS_11, _PERSISTS_10, _CLOSE_RECEIVED = Reason.PERSISTS_11, Reason.PERSISTS_10, Reason.CLOSE_RECEIVED
_ALWAYS = Announce.ALWAYS

MOST_PREPARED: Final = 64
"""Ways of sending one response that are remembered: by request facts, method and length."""


@lru_cache(4096)
def hints_11(timeout: int | None, maximum: int | None) -> Announcement:
    """What a response says to an HTTP/1.1 client that may stay, hints being stated. RFC 9112 §9.3."""
    hints = format_hints(timeout, maximum)
    return Announcement((b"keep-alive",), hints) if hints else SAY_NOTHING


@lru_cache(4096)
def _end_of_head_11(timeout: int | None, maximum: int | None) -> bytes:
    """What is said of persistence in that case, and the blank line."""
    return writer.connection_lines(*hints_11(timeout, maximum)) + b"\r\n"


class ServerRepeats(Connection):
    """The half of `ServerConnection` that repeats."""

    __slots__ = ("_heads", "_request_facts", "_request_method")

    def __init__(self, limits: Limits, terms: Terms, role: Role) -> None:
        super().__init__(role, limits, terms)
        self._heads = RequestHeads(limits)
        self._request_facts: Facts = NO_REQUEST
        self._request_method = b""

    def receive_again(self, octets: bytes) -> Request | None:
        """Take a head that says what the one before said, or nearly: `receive` in one step, 2.3 µs less.

        Returns:
            The request, without content; it is the same where the head is; what follows it waits. None where
            there is more to do than that, by `receive`: nothing was taken.

        RFC 9112 §2.1, §9.3.2 (bench/bench_exchange.py, bench/bench_forward.py).
        """
        heads, reader = self._heads, self._reader
        request = heads.request
        if request is None or self.peer_state is not _IDLE or reader.start < len(reader.buffer):
            return None
        said = heads.octets
        if octets != said:
            if said is not None and octets.startswith(said):
                reader.push(octets)
                reader.start = len(said)
            elif (request := heads.like(octets)) is None:
                return None
        reader.empty_lines = 0
        self._request_method, self._request_facts = request.method, request.facts
        self.peer_state = _DONE
        reader.phase = _PHASE_DONE
        return request

    def answer_again(self, head: Response, content: bytes) -> bytes | None:
        """Send a whole response as it was sent before, and await the next request: `send_whole` and `rest`.

        Returns:
            None where there is more to do than that, by those two: nothing was done.

        RFC 9112 §6, §9.3 (1 µs less; bench/bench_forward.py).
        """
        reader, terms = self._reader, self._terms
        if (
            self.reason is not None
            or self.limit is not None
            or self.own_state is not _IDLE
            or self.peer_state is not _DONE
            or self.half_closed
            or reader.start < len(reader.buffer)
        ):
            return None
        if type(head) is LikeResponse:
            head.ways.apply(head, terms, self._request_facts, self._request_method, len(content))
        prepared = head.prepared
        if not prepared:
            return None
        known = prepared.get((self._request_facts, self._request_method, len(content)))
        if known is None or known[0] is not terms or known[1] is not _PERSISTS_11:
            return None
        _, _, outgoing, octets = known
        most = terms.max_requests
        if most is not None:
            left = most - self.exchanges - 1
            if left <= 0:
                return None
            octets += _end_of_head_11(terms.keep_alive_timeout, left)
        self.response_framing = outgoing.framing
        self._outgoing = outgoing
        self.exchanges += 1
        self.peer_state = _IDLE
        self._request_method, self._request_facts = b"", NO_REQUEST
        reader.phase = _HEAD
        return octets if outgoing.silent else octets + content

    def _prepare(self, head: Response, prepared: Prepared, outgoing: Outgoing, length: int | None) -> None:
        """Remember how a response is sent after which the connection persists, or ends as it was asked to."""
        terms, reason = self._terms, self.reason
        if head.block is None or outgoing.drop_length or len(prepared) >= MOST_PREPARED:
            return
        octets = writer.status_line(head.status, head.reason_phrase) + head.block + outgoing.line
        if reason is _PERSISTS_11 and terms.announce is _ALWAYS:
            if terms.max_requests is None:
                octets += _end_of_head_11(terms.keep_alive_timeout, None)
        elif reason is _CLOSE_RECEIVED:
            octets += writer.connection_lines((b"close",), b"") + b"\r\n"
        else:
            return
        prepared[self._request_facts, self._request_method, length] = terms, reason, outgoing, octets

    def _send_prepared(self, prepared: Prepared, length: int | None) -> bytes | None:
        """Send a head as it was sent before, if nothing of this exchange asks for another look.

        Framing, status line, decision and head are one look-up: 2 µs less (bench/bench_server.py).
        """
        if (
            self.reason is not None
            or self.peer_state is not _DONE
            or self.limit is not None
            or self.half_closed
        ):
            return None
        known = prepared.get((self._request_facts, self._request_method, length))
        if known is None or known[0] is not self._terms:
            return None
        _, reason, outgoing, octets = known
        most = self._terms.max_requests
        if most is not None and reason is _PERSISTS_11:
            left = most - self.exchanges - 1
            if left <= 0:
                return None
            octets += _end_of_head_11(self._terms.keep_alive_timeout, left)
        self.response_framing = outgoing.framing
        self.reason = reason
        if length is None:
            self._begin_sending(outgoing, False)
        else:
            self._outgoing = outgoing
            self.own_state = _DONE
        return octets

    def rest(self) -> bool:
        """Begin to await the next request, if nothing of it has arrived: `next_cycle` in one step.

        Returns:
            False where there is more to do than that, by `next_cycle`; nothing was done.

        RFC 9112 §9.3.
        """
        reader, reason = self._reader, self.reason
        if (
            (reason is not _PERSISTS_11 and reason is not _PERSISTS_10)
            or self.own_state is not _DONE
            or self.peer_state is not _DONE
            or self.half_closed
            or reader.start < len(reader.buffer)
        ):
            return False
        self.exchanges += 1
        self.own_state = self.peer_state = _IDLE
        self._request_method, self._request_facts = b"", NO_REQUEST
        self.reason = None
        reader.phase = _HEAD
        return True

    def next_request(self) -> Request | None:
        """Begin the next exchange, if its request has arrived and says what the last one said, or nearly.

        `next_cycle` in one step, without reading the same head again: 3 µs less for each of a
        pipeline's requests, and more where targets differ (bench/bench_exchange.py).

        Returns:
            None where there is more to do than that, by `next_cycle`; nothing was done.

        RFC 9112 §9.3.2.
        """
        reader, heads, reason = self._reader, self._heads, self.reason
        request, octets = heads.request, heads.octets
        if (
            request is None
            or octets is None
            or (reason is not _PERSISTS_11 and reason is not _PERSISTS_10)
            or self.own_state is not _DONE
            or self.peer_state is not _DONE
            or self.half_closed
        ):
            return None
        if not reader.buffer.startswith(octets, reader.start):
            octets = reader.waiting_head()
            request = heads.like(octets)
            if request is None:
                return None
            self._request_method, self._request_facts = request.method, request.facts
        reader.start += len(octets)
        self.exchanges += 1
        self.own_state = _IDLE
        self.reason = None
        return request
