"""One client's connection to a forward proxy.

    request ──who asks?──┬─ known, or nobody is asked ─▶ CONNECT: a tunnel    else: as a gateway forwards
                         ├─ to be checked ─▶ Checking ─▶ one of the two
                         └─ nobody we know ─▶ 407; the connection lives, unless it was a CONNECT

RFC 9110 §7.3.2, §9.3.6 (CONNECT), §11.7 (407); RFC 9931.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from perdure.client.errors import ExchangeError
from perdure.core import FieldLine, Reason, RemoteViolation, Request, Response, make_line
from perdure.intermediary.connect import ESTABLISHED, Connector
from perdure.intermediary.content import HELD_OCTETS
from perdure.intermediary.credentials import Credentials
from perdure.intermediary.failures import HOOK_FAILED, LOOP, Row, row_of
from perdure.intermediary.forwarding import Forwarding, max_forwards, seen_before
from perdure.intermediary.inbound import GatewayConnection
from perdure.intermediary.origins import Destinations, Refused
from perdure.intermediary.shared import Shared
from perdure.intermediary.tunnels import Tunnels
from perdure.intermediary.upgrade import guard_upgrade
from perdure.server.registry import Registry

logger = logging.getLogger("perdure.proxy")

CHALLENGE: Final = make_line(b"Proxy-Authenticate", b'Basic realm="perdure", charset="UTF-8"')
WANTS_CREDENTIALS: Final = Row(407, "http_request_denied", "this proxy wants to know who asks")
TOO_MANY_CHECKS: Final = Row(503, "connection_limit_reached", "too many credentials are being checked")
NO_CONTENT_EXPECTED: Final = Row(400, "http_request_error", "a CONNECT request has no content (9110 §9.3.6)")


class ProxyShared(Shared):
    """The parts of a proxy that its connections use.

    Attributes:
        connector: opens tunnels.
        credentials: who may use it; None: anybody.
    """

    __slots__ = ("connector", "credentials")

    def __init__(
        self,
        registry: Registry,
        rules: Forwarding,
        destinations: Destinations,
        tunnels: Tunnels,
        connector: Connector,
        credentials: Credentials | None,
    ) -> None:
        super().__init__(registry, rules, destinations, tunnels)
        self.connector = connector
        self.credentials = credentials


class Checking:
    """A request that waits for the verdict on its credentials; its content is kept meanwhile."""

    __slots__ = ("_credentials", "_held", "_held_octets", "_near", "_request", "over")

    def __init__(self, near: ProxyConnection, credentials: Credentials, request: Request) -> None:
        self._near = near
        self._credentials = credentials
        self._request = request
        self._held: list[tuple[bytes, bool, Sequence[FieldLine]]] = []
        self._held_octets = 0
        self.over = False

    def content(self, octets: bytes, end: bool, trailers: Sequence[FieldLine]) -> None:
        """Keep it; no more than a little."""
        self._held.append((octets, end, trailers))
        self._held_octets += len(octets)
        if self._held_octets > HELD_OCTETS:
            self._near.pause_reading()

    def aborted(self, reason: Reason) -> None:
        """The client is gone."""
        self.over = True
        self._near.exchange = None

    def client_full(self) -> None:
        """Nothing is written yet."""

    def client_drained(self) -> None:
        """Nothing is written yet."""

    def decided(self, done: asyncio.Future[bool]) -> None:
        """Go on with the request, and with what came of its content."""
        if self.over:
            return
        near = self._near
        near.exchange = None
        answered = near.protocol.exchanges
        guard_upgrade(near, self._request)
        failed = done.cancelled() or done.exception() is not None
        if not near.is_asked_by(self._credentials):  # others have come meanwhile: theirs is the verdict
            self._begin(near.exchange_begins)
        elif failed:
            near.refuse_with(row_of(Reason.LOCAL_FAULT))
        elif done.result():
            self._begin(near.go_on)
        else:
            near.refuse_stranger(self._request)
        near.resume_reading()
        for octets, end, trailers in self._held:
            if near.protocol.exchanges != answered:
                return  # what is under way is a later one: this content is nobody's any more
            near.content_arrived(octets, end, trailers)

    def _begin(self, begin: Callable[[Request], None]) -> None:
        try:
            begin(self._request)
        except Exception:
            self._near.beginning_failed()


class ProxyConnection(GatewayConnection):
    """A client's connection to a forward proxy."""

    __slots__ = ("_proxy",)

    def __init__(self, shared: ProxyShared) -> None:
        super().__init__(shared)
        self._proxy = shared

    def exchange_begins(self, request: Request) -> None:
        """Forward a request, or open a tunnel, for those who may use us."""
        credentials = self._proxy.credentials
        if credentials is None:
            self.go_on(request)
            return
        guard_upgrade(self, request)
        said = [line.value for line in request.fields if line.lowered == b"proxy-authorization"]
        known = credentials.known(said[0]) if len(said) == 1 else False
        if known:
            self.go_on(request)
        elif known is None:
            self._check(credentials, said[0], request)
        else:
            self.refuse_stranger(request)

    def _check(self, credentials: Credentials, value: bytes, request: Request) -> None:
        verdict = credentials.check(value)
        if verdict is None:
            self.turn_away(request, TOO_MANY_CHECKS)
            return
        waiting = self.exchange = Checking(self, credentials, request)
        verdict.add_done_callback(waiting.decided)

    def is_asked_by(self, credentials: Credentials) -> bool:
        """Whether these are the users that the proxy has now, and not before a reload."""
        return self._proxy.credentials is credentials

    def refuse_stranger(self, request: Request) -> None:
        """Ask who it is. RFC 9110 §15.5.8."""
        self.turn_away(request, WANTS_CREDENTIALS, [CHALLENGE])

    def go_on(self, request: Request) -> None:
        """Serve a request of somebody who may use us."""
        super().exchange_begins(request)

    def _answers_itself(self, request: Request) -> bool:
        """Whether the request ends here: a tunnel, a question to ourselves, or the last hop it may take."""
        if request.method == b"CONNECT":
            self._connect(request)
            return True
        if request.target == b"*" and max_forwards(request) is None:
            self.respond(Response(200, self.own_fields()))  # 9110 §9.3.7: asked of us, not of an origin
            return True
        return super()._answers_itself(request)

    def _connect(self, request: Request) -> None:
        """Open a tunnel. Raises Refused, RemoteViolation."""
        proxy, rules = self._proxy, self._proxy.rules
        if not request.end:
            raise Refused(NO_CONTENT_EXPECTED)
        if seen_before(request.fields, rules):
            raise Refused(LOOP)
        origin = proxy.connector.destination(request, self._hop)
        if rules.on_request is not None and self._hook_forbids(request):
            return
        established = Response(200, (), ESTABLISHED)
        proxy.tunnels.open(self, proxy.connector.dial(origin), established, self._not_connected)

    def _hook_forbids(self, request: Request) -> bool:
        """Let the user's hook look at a CONNECT; whether that was the end of it."""
        hook = self._proxy.rules.on_request
        assert hook is not None
        try:
            answer = hook(Request(request.method, request.target, list(request.fields)))
        except Exception:
            logger.exception("on_request failed")
            self.refuse_with(HOOK_FAILED)
            return True
        if answer is None:
            return False
        if answer.status < 300:  # there would be a tunnel to nowhere
            logger.error("on_request answered CONNECT with %d", answer.status)
            self.refuse_with(HOOK_FAILED)
        else:
            self.respond(answer)
        return True

    def _not_connected(self, error: ExchangeError) -> None:
        logger.info("connection %d: no tunnel: %s", self.number, error)
        try:
            self.respond(*self._proxy.connector.refusal(error))
        except RemoteViolation as violation:  # of the parent's answer
            logger.warning("connection %d: %s", self.number, violation)
            self.refuse_with(row_of(violation.reason))
