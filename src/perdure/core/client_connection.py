"""The side that sends requests and reads responses: user agent, and an intermediary inbound.

Requests may be pipelined: each response is paired with the first request that has none
(R89). Whatever arrives while no request is outstanding never becomes a response (R64, R90);
it ends the connection in silence, since the caller has done nothing wrong.

RFC 9112 §4 (responses), §9.2 (association), §9.3 (persistence), §9.3.2 (pipelining).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from perdure.core import writer
from perdure.core.client_repeats import ClientRepeats
from perdure.core.errors import RemoteViolation
from perdure.core.events import NO_LINES, Event, Interim, Request, Response, Said
from perdure.core.fields import HTTP_11, UPGRADE, Facts, FieldLine, split_list
from perdure.core.framing import NO_CONTENT, Framing, FramingKind, request_to_send, response_framing
from perdure.core.heads import response_head
from perdure.core.limits import CLIENT_LIMITS, STRAY_OCTETS_IGNORED, Limits
from perdure.core.persistence import (
    Case,
    NextHop,
    announce_request,
    decide,
    decide_plain,
    heard_from,
)
from perdure.core.reader import Phase
from perdure.core.reason import Reason
from perdure.core.states import State
from perdure.core.terms import DEFAULT_TERMS, Terms

# Looking up a member of an Enum costs 0.2 µs on CPython 3.11, a global 0.02 (bench/bench_client.py).
_IDLE, _SENDING, _DONE, _PHASE_DONE = State.IDLE, State.SENDING, State.DONE, Phase.DONE
_NONE, _LENGTH = FramingKind.NONE, FramingKind.LENGTH
_PERSISTS_11 = Reason.PERSISTS_11
PERSISTENCE_OPTIONS: Final = (b"close", b"keep-alive")
_ORIGIN = NextHop.ORIGIN


class ClientConnection(ClientRepeats):
    """A connection whose peer sends responses. RFC 9112 §9.

    Attributes:
        peer_speaks_11: True once the server was seen to speak HTTP/1.1; a client that remembers
            it of the origin sets it (R46).
        next_hop: who reads the requests first; set it before the first of them.
        kept_by_option: True while it persists because our keep-alive option was answered.
    """

    __slots__ = ("kept_by_option", "peer_speaks_11")

    def __init__(self, limits: Limits = CLIENT_LIMITS, terms: Terms = DEFAULT_TERMS) -> None:
        super().__init__(limits, terms)
        self.peer_speaks_11 = False
        self.kept_by_option = False

    @property
    def outstanding(self) -> int:
        """Requests whose final response is not complete. RFC 9112 §9.3.2."""
        return len(self._outstanding)

    @property
    def response_begun(self) -> bool:
        """True once any octet of the current response has arrived. RFC 9112 §9.3.1."""
        reader = self._reader
        if reader.phase is not Phase.HEAD or reader.waiting_octets > 0 or self._interims > 0:
            return True
        # A head that was read and refused had begun; an end of the stream before any octet had not.
        return self.peer_state is State.ERROR and self.reason is not Reason.INCOMPLETE

    @property
    def relay_possible(self) -> bool:
        """True where a peer that stays silent may be a relay that did not understand our keep-alive option.

        It passed the option on, and the answer to it back. Now it waits for the server to close, and
        hears no more requests; or we wait, with the server, for each other's close. RFC 9112 appendix C.2.2.
        """
        if not self.kept_by_option or not self._outstanding:
            return False
        if self.peer_state is _SENDING:
            return self.response_framing.kind is FramingKind.UNTIL_CLOSE
        return self.peer_state is _IDLE and self.persists and not self.response_begun

    def _read_head(self, events: list[Event]) -> None:
        if not self._outstanding:
            self._guard_idle()
            return
        if not self._interims:
            # A line end after the last response may come late, when the next request is out already.
            self._stray += self._reader.skip_line_ends(STRAY_OCTETS_IGNORED - self._stray)
        while self.peer_state is _IDLE and (head := self._reader.take_head(502)) is not None:
            status, phrase, version, fields, facts = response_head(head, self._limits)
            if version >= HTTP_11:
                self.peer_speaks_11 = True
            if status < 200 and status != 101:
                self._count_interim()
                events.append(Interim(status, fields, phrase))
                continue
            method, sent, asked = self._outstanding[0]
            if status == 101:
                _check_switch(fields, asked.fields)
            framing = self.response_framing = response_framing(facts, status, method)
            self.reason = self._decide(facts, sent, framing)
            if self.kept_by_option or b"keep-alive" in sent.options:
                self._note_option(facts, sent)
            self._reader.begin(framing)
            ends = framing.kind is _NONE
            # A tuple: those of one response may be handed out again as those of the next.
            response = Response(status, tuple(fields), phrase, version, facts, framing, ends)
            events.append(response)
            self._remember(head, response)
            self.peer_state = _DONE if ends else _SENDING
            if ends:
                self._response_complete()

    def _note_option(self, received: Facts, sent: Facts) -> None:
        """Note whether our keep-alive option had an effect; a relay may not have understood it."""
        asked = b"keep-alive" in sent.options and self.limit is None
        answered = self.persists or b"keep-alive" in heard_from(self.next_hop, received).options
        self.kept_by_option = asked and answered

    def _count_interim(self) -> None:
        self._interims += 1
        if self._interims > self._limits.max_interim:
            message = f"more than {self._limits.max_interim} interim responses (9110 §15.2)"
            raise RemoteViolation(message, Reason.TOO_LARGE, 502)

    def _decide(self, received: Facts, sent: Facts, framing: Framing) -> Reason:
        if self.next_hop is not _ORIGIN:
            received = heard_from(self.next_hop, received)
        # A limit of ours waits for the responses to what was pipelined before it was reached.
        limit = self.limit if len(self._outstanding) == 1 else None
        plain = decide_plain(received, sent, framing, limit)
        if plain is not None:
            return plain
        honoured = self._terms.http_10_honoured
        return decide(Case(received, sent, self.role, framing, False, limit, honoured))

    def _read_content(self, events: list[Event]) -> None:
        super()._read_content(events)
        if self.peer_state is _DONE:
            self._response_complete()

    def _response_complete(self) -> None:
        """Look beyond the end of a response: with no other request out, nothing may follow (R64)."""
        if not self.persists:
            self._reader.take_rest()
        elif len(self._outstanding) == 1:
            self._guard_idle()

    def _guard_idle(self) -> None:
        """End the connection silently if octets came that nobody asked for (R90)."""
        reader = self._reader
        seen = reader.peek(STRAY_OCTETS_IGNORED + 13)
        rest = seen.lstrip(b"\r\n")
        self._stray += len(seen) - len(rest)
        if not rest and self._stray <= STRAY_OCTETS_IGNORED:
            reader.skip(len(seen))
            return
        is_408 = rest[:9] in (b"HTTP/1.1 ", b"HTTP/1.0 ") and b"408".startswith(rest[9:12])
        reader.take_rest()
        if not self._outstanding:
            self.end(Reason.IDLE_408 if is_408 else Reason.SURPLUS_OCTETS)
        else:
            self.reason = Reason.SURPLUS_OCTETS

    def _idle_eof(self) -> None:
        if self._outstanding:
            self._incomplete("before its response")
        self.end(Reason.PEER_CLOSED)

    def _send_head(self, head: Request | Response, length: int | None) -> bytes:
        pipelined = self.own_state is _DONE and bool(self._outstanding)
        if isinstance(head, Response) or not (self.own_state is _IDLE or pipelined):
            raise self._local(
                f"a {type(head).__name__} cannot be sent by a client that is {self.own_state.value}"
            )
        ended = self._no_more_requests()
        if ended is not None:
            raise self._local(f"no more requests on this connection: {ended}")
        if self.peer_state is _DONE:
            # What has arrived by now must not answer a request that is yet to be sent (R64).
            raise self._local("a response is complete: begin the next cycle before the next request")
        octets, outgoing, sent, closes = self._said(head, length)
        if not pipelined:
            self.reason = None
            self._interims = self._stray = 0
        self._close_sent = closes
        self._outstanding.append((head.method, sent, head))
        self._begin_sending(outgoing, length is not None)
        return octets

    def _said(self, head: Request, length: int | None) -> Said:
        """What is sent for a head; from memory where a caller sends the same again (1.6 µs less)."""
        prepared = head.prepared
        if prepared is None or length is None or self.limit is not None or self.next_hop is not _ORIGIN:
            return self._say(head, length)
        key = length, self._terms.persist
        said = prepared.get(key)
        if said is None:
            said = prepared[key] = self._say(head, length)
        return said

    def _say(self, head: Request, length: int | None) -> Said:
        facts = head.facts
        if len(facts.hosts) != 1 and head.version >= HTTP_11:
            raise self._local(f"{len(facts.hosts)} Host fields, exactly 1 expected (9112 §3.2)")
        outgoing = request_to_send(facts, head.method, length, self.peer_speaks_11)
        if outgoing.framing is NO_CONTENT and b"100-continue" in facts.expectations:
            raise self._local("100-continue is expected for content that is not there (9110 §10.1.1)")
        persist = self._terms.persist and b"close" not in facts.options
        announcement = announce_request(head.version, persist and self.limit is None, self.next_hop)
        line = writer.request_line(head.method, head.target, head.version)
        octets = writer.head(line, head.fields, announcement, outgoing.line, False)
        wanted = announce_request(head.version, persist, self.next_hop)
        sent = _as_sent(facts, wanted.options + wanted.to_proxy)
        return octets, outgoing, sent, announcement.options == (b"close",)

    def _no_more_requests(self) -> Reason | None:
        """Why nothing more may be sent after what was said (R99, R116, R119). RFC 9112 §9.6."""
        if not self.persists:
            return self.reason
        if self._close_sent:
            return Reason.CLOSE_SENT
        return Reason.PEER_CLOSED if self.half_closed else None

    def _sends_for_this_exchange(self) -> bool:
        return len(self._outstanding) == 1

    def _exchange_over(self) -> None:
        self._outstanding.popleft()
        self._interims = 0
        if not self._outstanding:
            self.own_state = _IDLE


def _as_sent(facts: Facts, options: tuple[bytes, ...]) -> Facts:
    """The facts of a request as it went out: what it said of persistence is ours, not the caller's."""
    if facts.options.isdisjoint(PERSISTENCE_OPTIONS) and not options:
        return facts
    sent = Facts(facts.version, True, NO_LINES)
    sent.options = facts.options.difference(PERSISTENCE_OPTIONS).union(options)
    return sent


def _check_switch(fields: Sequence[FieldLine], asked: Sequence[FieldLine]) -> None:
    """See that a 101 names protocols that were asked for. RFC 9110 §7.8 (R144)."""
    wanted = split_list(line.value for line in asked if line.kind == UPGRADE)
    named = split_list(line.value for line in fields if line.kind == UPGRADE)
    if not wanted:
        raise RemoteViolation("a 101 that was not asked for (9110 §7.8)", Reason.BAD_SYNTAX, 502)
    if not named or not set(named).issubset(wanted):
        message = f"a 101 to {named}, asked for were {wanted} (9110 §7.8)"
        raise RemoteViolation(message, Reason.BAD_SYNTAX, 502)
