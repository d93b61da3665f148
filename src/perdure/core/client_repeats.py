"""What a client does as it did it before, in one step: the same request sent, a response with the same head.

Who asks for the same thing again is mostly told the same within a second (the Date is part of it). Each
method here is one of `Connection`'s, or several of them, for the case that nothing asks for another look;
it does all of it or says that it did nothing. That they come to the same is what
tests/core/test_client_repeats.py shows.

RFC 9112 §9.2 (association), §9.3 (persistence).
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from perdure.core.connection import Connection
from perdure.core.events import Data, Event, Request, Response
from perdure.core.fields import Facts
from perdure.core.framing import Framing, FramingKind
from perdure.core.limits import Limits
from perdure.core.persistence import NextHop, Role
from perdure.core.reader import Phase
from perdure.core.reason import Reason
from perdure.core.response_likeness import MOST_HEAD_OCTETS
from perdure.core.states import State
from perdure.core.terms import Terms

# Looking up a member of an Enum costs 0.2 µs on CPython 3.11, a global 0.02 (bench/bench_client.py).
_IDLE, _DONE, _PHASE_DONE = State.IDLE, State.DONE, Phase.DONE
_NONE, _LENGTH = FramingKind.NONE, FramingKind.LENGTH
_PERSISTS_11 = Reason.PERSISTS_11
_ORIGIN = NextHop.ORIGIN
REMEMBERED_HEAD_OCTETS: Final = 2048
"""A longer response head is not compared with the next one of its connection."""


class Before(NamedTuple):
    """A response that left its connection persistent, for the next one to be compared with."""

    head: bytes
    """With its blank line."""
    method: bytes
    """Of the request."""
    sent: Facts
    """Of the request."""
    response: Response
    reason: Reason


class ClientRepeats(Connection):
    """The half of `ClientConnection` that repeats.

    Attributes:
        next_hop: who reads the requests first; set it before the first of them.
    """

    __slots__ = ("_before", "_close_sent", "_interims", "_outstanding", "_stray", "next_hop")

    def __init__(self, limits: Limits, terms: Terms) -> None:
        super().__init__(Role.CLIENT, limits, terms)
        self._before: Before | None = None
        self.next_hop = _ORIGIN
        self._outstanding: deque[tuple[bytes, Facts, Request]] = deque()
        self._close_sent = False
        self._interims = 0
        self._stray = 0

    def receive(self, octets: bytes) -> list[Event]:
        """As `Connection.receive`. RFC 9112 §9.2.

        Who asks for the same thing again is mostly told the same within a second (the Date is part of
        it). One whole response that begins as the one before costs 1.5 µs instead of 9, since nothing
        about it has to be decided anew (bench/bench_client.py).
        """
        before = self._before
        if before is not None and octets.startswith(before.head) and self._is_like(before):
            response = before.response
            content = octets[len(before.head) :]
            if len(content) == response.framing.length:
                self.reason = before.reason
                self.response_framing = response.framing
                self.peer_state = _DONE
                self._reader.phase = _PHASE_DONE
                return [response, Data(content, True)] if content else [response]
        return super().receive(octets)

    def _is_like(self, before: Before) -> bool:
        """Say whether what decided about the response before is all the same for this one."""
        outstanding, reader = self._outstanding, self._reader
        if len(outstanding) != 1 or self.peer_state is not _IDLE or self.limit is not None:
            return False
        method, sent, _ = outstanding[0]
        if sent is not before.sent or method != before.method:
            return False
        return reader.start >= len(reader.buffer) and not self._interims

    def _remember(self, head: bytes, response: Response) -> None:
        """Keep a response for the next one to be compared with, if its head can tell everything."""
        kind, reason = response.framing.kind, self.reason
        if reason is None or not self.persists or len(head) > REMEMBERED_HEAD_OCTETS:
            return
        if response.status == 408:  # it may end a connection that it says persists (`retry.reason_of_end`)
            return
        if (kind is _LENGTH or kind is _NONE) and len(self._outstanding) == 1:
            method, sent, _ = self._outstanding[0]
            self._before = Before(head + b"\r\n\r\n", method, sent, response, reason)

    def hear_again(self, octets: bytes, response: Response) -> bytes | None:
        """Take a whole response whose head is an earlier one, and begin the next cycle.

        `receive` and `next_cycle` in one step.

        Args:
            response: what came of that head when it was heard last.

        Returns:
            Its content, and the connection is idle again; None where there is more to do than that, by those
            two, or where the head is another: nothing was taken.

        RFC 9112 §9.2, §9.3 (1.5 µs less; bench/bench_forward.py).
        """
        before = self._before
        if before is None or before.response is not response or not octets.startswith(before.head):
            return None
        content = octets[len(before.head) :]
        if len(content) != response.framing.length or self.own_state is not _DONE or self.half_closed:
            return None
        if not self._is_like(before):
            return None
        self._end_exchange(before.reason, response.framing)
        return content

    def may_repeat(self, response: Response) -> bool:
        """Say whether a response that is like an earlier one may be taken for the request that is out.

        Args:
            response: the earlier one, which must be the last that was kept to be compared with.

        RFC 9112 §9.2, §9.3.
        """
        before = self._before
        return (
            before is not None
            and before.response is response
            and self.own_state is _DONE
            and not self.half_closed
            and self._limits.max_line >= MOST_HEAD_OCTETS  # or each line has to be measured
            and self._is_like(before)
        )

    def repeat(self, framing: Framing) -> None:
        """Take a whole response, where it may repeat, as what the earlier one was; but its length is another.

        RFC 9112 §9.3.
        """
        assert self._before is not None
        self._end_exchange(self._before.reason, framing)

    def _end_exchange(self, reason: Reason, framing: Framing) -> None:
        self.reason = reason
        self.response_framing = framing
        self.exchanges += 1
        self._outstanding.clear()
        self.own_state = _IDLE

    def receive_again(self, octets: bytes) -> tuple[Response, bytes] | None:
        """As `hear_again`, where the last response will do: its head, and the content of this one."""
        before = self._before
        if before is None:
            return None
        content = self.hear_again(octets, before.response)
        return None if content is None else (before.response, content)

    def send_whole(self, head: Request | Response, content: bytes = b"") -> bytes:
        """As `Connection.send_whole`. RFC 9112 §6.2.

        A request that was said before, on a connection where nothing else is under way, costs 0.5 µs
        instead of 0.9 (bench/bench_client.py).
        """
        if type(head) is Request and head.prepared is not None and self._may_say_again():
            said = head.prepared.get((len(content), self._terms.persist))
            if said is not None:
                octets, self._outgoing, sent, self._close_sent = said
                self.reason = None
                self._interims = self._stray = 0
                self._outstanding.append((head.method, sent, head))
                self.own_state = _DONE
                return octets + content if content else octets
        return super().send_whole(head, content)

    def _may_say_again(self) -> bool:
        """True if a request that was said before may be said now as it was."""
        reason = self.reason
        return (
            self.own_state is _IDLE
            and self.peer_state is _IDLE
            and (reason is None or reason is _PERSISTS_11)
            and self.limit is None
            and not (self._close_sent or self.half_closed)
            and self.next_hop is _ORIGIN
        )

    def say_again(self, head: Request) -> bytes | None:
        """Send a request without content as it was sent before: `send_whole` in one step.

        Returns:
            None where there is more to do than that, by `send_whole`, which may find that nothing more can be
            sent: nothing was done.

        RFC 9112 §9.3 (1 µs less; bench/bench_forward.py).
        """
        reason, prepared = self.reason, head.prepared
        if (
            not prepared
            or (reason is not _PERSISTS_11 and reason is not None)
            or self.own_state is not _IDLE
            or self.peer_state is not _IDLE
            or self.limit is not None
            or self._close_sent
            or self.half_closed
            or self.next_hop is not _ORIGIN
        ):
            return None
        said = prepared.get((0, self._terms.persist))
        if said is None:
            return None
        octets, self._outgoing, sent, self._close_sent = said
        self.reason = None
        self._interims = self._stray = 0
        self._outstanding.append((head.method, sent, head))
        self.own_state = _DONE
        return octets
