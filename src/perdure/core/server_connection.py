"""The side that reads requests and sends responses: origin server, gateway, proxy.

RFC 9112 §3 (requests), §9.3 (persistence), §9.6 (announcing a close); RFC 9110 §10.1.1
(100-continue), §15.2 (interim responses).
"""

from __future__ import annotations

from perdure.core import writer
from perdure.core.connection import NO_REQUEST, Connection
from perdure.core.errors import RemoteViolation
from perdure.core.events import Event, Interim, Request, Response
from perdure.core.fields import HTTP_11, UPGRADE, Facts, split_list
from perdure.core.framing import NO_CONTENT, Framing, request_framing, response_to_send
from perdure.core.heads import request_head
from perdure.core.limits import SERVER_LIMITS, Limits
from perdure.core.persistence import SAY_NOTHING, Case, Role, announce_response, decide, decide_plain
from perdure.core.reader import Phase
from perdure.core.reason import Reason
from perdure.core.states import State
from perdure.core.terms import DEFAULT_TERMS, Terms


class ServerConnection(Connection):
    """A connection whose peer sends requests. RFC 9112 §9.

    Attributes:
        awaits_continue: True while the client waits for a 100 before it sends content (R159).
    """

    __slots__ = ("_request_facts", "_request_method", "awaits_continue")

    def __init__(
        self, limits: Limits = SERVER_LIMITS, terms: Terms = DEFAULT_TERMS, role: Role = Role.SERVER
    ) -> None:
        super().__init__(role, limits, terms)
        self.awaits_continue = False
        self._request_facts: Facts = NO_REQUEST
        self._request_method = b""

    def unread_beyond(self, octets: int) -> bool:
        """True if more request content is known to come than may be read and dropped.

        Content that waits for a 100 counts as such: whether it comes at all is the client's
        choice. RFC 9112 §9.3, RFC 9110 §10.1.1 (R161).
        """
        if self.peer_state is not State.SENDING:
            return False
        return self.awaits_continue or (
            self._reader.phase is Phase.LENGTH and self._reader.remaining > octets
        )

    def _read_head(self, events: list[Event]) -> None:
        reader = self._reader
        reader.skip_empty_lines()
        head = reader.take_head(414)
        if head is None:
            return
        method, target, version, fields, facts = request_head(head, self._limits)
        self._request_method, self._request_facts = method, facts
        if not (facts.lengths or facts.codings):
            self.peer_state = State.DONE
            reader.phase = Phase.DONE
            events.append(Request(method, target, fields, version, facts))
            return
        framing = request_framing(facts)
        self._check_body_limit(framing)
        reader.begin(framing)
        whole = framing is NO_CONTENT
        self.peer_state = State.DONE if whole else State.SENDING
        # 9110 §10.1.1: ignored in an HTTP/1.0 request (R158).
        self.awaits_continue = not whole and version >= HTTP_11 and b"100-continue" in facts.expectations
        events.append(Request(method, target, fields, version, facts, framing, whole))

    def _check_body_limit(self, framing: Framing) -> None:
        limit = self._limits.max_body
        if limit is not None and framing.length > limit:
            message = f"content of {framing.length} octets, at most {limit} allowed (9110 §15.5.14)"
            raise RemoteViolation(message, Reason.TOO_LARGE, 413)

    def _read_content(self, events: list[Event]) -> None:
        if self.awaits_continue and self._reader.waiting_octets:
            self.awaits_continue = False  # the client did not wait
        super()._read_content(events)

    def _send_head(self, head: Request | Response, length: int | None) -> bytes:
        if isinstance(head, Request) or self.own_state is not State.IDLE:
            raise self._local(
                f"a {type(head).__name__} cannot be sent by a server that is {self.own_state.value}"
            )
        if self.peer_state is State.IDLE and self.reason is None and self.limit is None:
            raise self._local("there is no request to answer, and no reason to end (9112 §9.2)")
        if head.status == 101:
            self._check_switch(head)
        request = self._request_facts
        outgoing = response_to_send(head.facts, head.status, self._request_method, request.version, length)
        line = writer.status_line(head.status, head.reason_phrase)
        # Nothing raises from here on: a head that cannot be sent leaves everything as it was.
        framing = self.response_framing = outgoing.framing
        reason = self.reason
        if reason is None:
            reason = self.reason = self._decide(head, framing, length is not None)
        terms = self._terms
        maximum = None if terms.max_requests is None else terms.max_requests - self.exchanges - 1
        announcement = announce_response(
            reason, request.version, terms.announce, terms.keep_alive_timeout, maximum
        )
        self._begin_sending(outgoing, length is not None)
        self.awaits_continue = False
        return writer.head(line, head.fields, announcement, outgoing.line, outgoing.drop_length)

    def _check_switch(self, head: Response) -> None:
        """See that a 101 names protocols that were offered, after the 100 that is awaited.

        RFC 9110 §7.8 (R143, R144, R147).
        """
        named = split_list(line.value for line in head.fields if line.kind == UPGRADE)
        if not named or not set(named).issubset(self._request_facts.upgrade):
            raise self._local(f"a 101 to {named}, offered were {self._request_facts.upgrade} (9110 §7.8)")
        if self.awaits_continue:
            raise self._local("the 100 that is awaited comes before a 101 (9110 §7.8)")

    def _decide(self, head: Response, framing: Framing, whole: bool) -> Reason:
        """Decide before the head is serialised.

        Only a whole response tells what stays unread; but after a final response no 100 can be
        sent any more, and whether the content then comes is the client's choice (R161).
        """
        request, sent = self._request_facts, head.facts
        limit = self._limit_reached(head.status)
        unread = self.awaits_continue or (whole and self.unread_beyond(self._limits.drain_body))
        plain = None if unread else decide_plain(request, sent, framing, limit)
        if plain is not None:
            return plain
        return decide(Case(request, sent, self.role, framing, unread, limit, self._terms.http_10_honoured))

    def _limit_reached(self, status: int) -> Reason | None:
        if self.limit is not None:
            return self.limit
        terms = self._terms
        if not terms.persist:
            return Reason.CLOSE_SENT
        if terms.max_requests is not None and self.exchanges + 1 >= terms.max_requests:
            return Reason.MAX_REQUESTS
        if self.half_closed and not self._reader.waiting_octets:
            return Reason.PEER_CLOSED
        if self._request_method == b"CONNECT" and not 200 <= status < 300:
            return Reason.CONNECT_REJECTED  # 9931: what follows may not be HTTP (R168)
        return None

    def _send_interim(self, interim: Interim) -> bytes:
        if self.own_state is not State.IDLE or self.peer_state is State.IDLE:
            raise self._local(
                "an interim response comes between a request and its final response (9110 §15.2)"
            )
        if not 100 <= interim.status < 200 or interim.status == 101:
            raise self._local(f"{interim.status} is not the status of an interim response (9110 §15.2)")
        if self._request_facts.version < HTTP_11:
            return b""  # 9110 §15.2: never to an HTTP/1.0 client (R164)
        line = writer.status_line(interim.status, interim.reason_phrase)
        if interim.status == 100:
            self.awaits_continue = False
        return writer.head(line, interim.fields, SAY_NOTHING, b"", True)

    def _exchange_over(self) -> None:
        self.own_state = State.IDLE
        # Until the next head is known to be good, a response is to nobody in particular.
        self._request_method, self._request_facts = b"", NO_REQUEST
        if self.persists:
            self.reason = None
