"""Asking a proxy for a tunnel: what is sent, and what becomes of the answer. Octets in, a verdict out.

    opening = TunnelOpening(origin, limits)
    send(opening.request)
    while not opening.receive(octets): ...       # raises where there will be no tunnel
    opening.receive_end()                         # the proxy ended it: always raises

Nothing is sent to the origin before the proxy has agreed, and nothing that the proxy sent before
the origin could have heard of us is taken for the origin's.

RFC 9110 §9.3.6 (CONNECT), RFC 9112 §3.2.3 (authority-form), RFC 9931 (waiting for the answer).
"""

from __future__ import annotations

from typing import Final, NoReturn

from perdure.client.errors import ProxyAuthenticationRequired, ProxyError, ProxyRefused
from perdure.client.urls import Origin
from perdure.core.client_connection import ClientConnection
from perdure.core.errors import RemoteViolation
from perdure.core.events import Data, EndOfMessage, Event, Request, Response
from perdure.core.fields import FieldLine, make_line
from perdure.core.framing import FramingKind
from perdure.core.limits import Limits
from perdure.core.persistence import NextHop
from perdure.core.reason import Reason
from perdure.core.writer import PHRASES

REFUSAL_OCTETS: Final = 65536
"""So much of what a proxy says when it refuses is kept for the error: a page, not a download."""


class TunnelOpening:
    """One CONNECT request and its answer.

    Attributes:
        request: the octets to send.
    """

    def __init__(self, origin: Origin, limits: Limits, agent: FieldLine) -> None:
        """Write the request.

        Args:
            origin: with its proxy.
            limits: of the answer.
            agent: the User-Agent line.
        """
        proxy = origin.proxy
        assert proxy is not None, "a tunnel leads through a proxy"
        self._origin = origin
        self._response: Response | None = None
        self._content = bytearray()
        self._connection = connection = ClientConnection(limits)
        connection.next_hop = NextHop.NETSCAPE_PROXY if proxy.says_proxy_connection else NextHop.PROXY
        authority = origin.authority.encode("ascii")
        lines = [make_line(b"Host", authority), *proxy.fields]
        if not any(line.lowered == b"user-agent" for line in lines):
            lines.append(agent)
        if proxy.authorization:
            lines.append(make_line(b"Proxy-Authorization", proxy.authorization))
        self.request = connection.send_whole(Request(b"CONNECT", authority, lines))

    def receive(self, octets: bytes) -> bool:
        """Take what the proxy says; True once the tunnel is open.

        Raises:
            ProxyRefused: it said no, and everything it had to say about that is here.
            ProxyError: what it says is not HTTP, too long, or more than an answer.
        """
        try:
            events = self._connection.receive(octets)
        except RemoteViolation as violation:
            if self._response is not None:  # it had refused; that its page is faulty changes nothing
                self._refuse()
            raise self._error(f"the proxy's answer to CONNECT: {violation}", violation.reason) from violation
        return any([self._take(event) for event in events])

    def receive_end(self) -> NoReturn:
        """Take the news that the proxy ended the connection, or that time is up.

        Raises:
            ProxyRefused, ProxyError: always.
        """
        if self._response is not None:
            self._refuse()
        raise self._error("the proxy closed the connection without an answer to CONNECT", Reason.INCOMPLETE)

    @property
    def refused(self) -> bool:
        """True once the head of a refusal is here, though its content may not be."""
        return self._response is not None

    def _take(self, event: Event) -> bool:
        if isinstance(event, Response):
            # 9112 §6.3 (2): whatever a 2xx says of its length is ignored.
            if event.framing.kind is FramingKind.TUNNEL and event.status != 101:
                return True
            self._response = event
            if event.end:
                self._refuse()
        elif isinstance(event, Data):
            if self._response is None:
                self._beyond(len(event.octets))
            self._content += event.octets
            if event.end or len(self._content) >= REFUSAL_OCTETS:
                self._refuse()
        elif isinstance(event, EndOfMessage):
            self._refuse()
        return False

    def _beyond(self, octets: int) -> NoReturn:
        """Refuse what follows the answer: the origin has heard nothing yet, so it is the proxy's own."""
        message = f"the proxy sent {octets} octets beyond its answer to CONNECT (9110 §9.3.6)"
        raise self._error(message, Reason.SURPLUS_OCTETS)

    def _refuse(self) -> NoReturn:
        response = self._response
        assert response is not None
        phrase = (
            PHRASES.get(response.status, b"") if response.reason_phrase is None else response.reason_phrase
        )
        words = phrase.decode("latin-1")
        kind = ProxyAuthenticationRequired if response.status == 407 else ProxyRefused
        content = bytes(self._content[:REFUSAL_OCTETS])
        message = f"{self._origin}: the proxy refused the tunnel: {response.status} {words}".rstrip()
        refusal = kind(message)
        refusal.status, refusal.reason_phrase = response.status, words
        refusal.fields, refusal.content = response.fields, content
        raise refusal

    def _error(self, message: str, reason: Reason) -> ProxyError:
        return ProxyError(f"{self._origin}: {message}", reason)
