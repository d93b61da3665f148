"""CONNECT: where a tunnel may lead, how its far side is reached, and what is said where there is none.

A rejection ends the client's connection (RFC 9931): what comes behind the request may be for the origin.
That is the core's business, which sends the close option with any response to CONNECT that is not 2xx.

RFC 9110 §9.3.6, RFC 9112 §3.2.3, RFC 9931.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, Final

from perdure.client.errors import ExchangeError, ProxyRefused
from perdure.client.loop_dialling import LoopDialler
from perdure.client.urls import NextProxy, Origin
from perdure.core import HTTP_11, FieldLine, Request, Response, make_line
from perdure.core.fields import gather
from perdure.core.hopbyhop import strip
from perdure.intermediary.access import Access
from perdure.intermediary.client_hop import ClientHop, is_said_of_hops, say_client
from perdure.intermediary.failures import Row, row_of_error, text_of
from perdure.intermediary.forwarding import Forwarding, date_line, via_of_response
from perdure.intermediary.origins import Refused
from perdure.intermediary.proxy_status import appended, status_line
from perdure.intermediary.targets import parse_authority, refuse_prohibited
from perdure.intermediary.tunnel import FarWire

ESTABLISHED: Final = b"Connection established"
PORT_PROHIBITED: Final = "this proxy opens tunnels to other ports only (9110 §9.3.6)"
PARENT_WANTS_OTHERS: Final = Row(
    502, "proxy_configuration_error", "the parent proxy wants credentials that this one does not have"
)
FRAMING: Final = frozenset([b"content-length", b"trailer"])


class Connector:
    """Opens tunnels for one proxy.

    Attributes:
        ports: that may be asked for; None for any.
        parent: the proxy through which tunnels lead; None for none.
    """

    __slots__ = ("_access", "_dialler", "_rules", "parent", "ports")

    def __init__(
        self,
        access: Access,
        ports: frozenset[int] | None,
        rules: Forwarding,
        dialler: LoopDialler[Any],
        parent: NextProxy | None = None,
    ) -> None:
        self._access = access
        self._rules = rules
        self._dialler = dialler
        self.ports = ports
        self.parent = parent

    def destination(self, request: Request, hop: ClientHop) -> Origin:
        """Where a tunnel is asked for, and through whom it leads.

        Args:
            hop: who asks.

        Raises:
            Refused: it may not.
            RemoteViolation: the request nominates what must not be removed.
        """
        target = parse_authority(request.target)
        if self.ports is not None and target.port not in self.ports:
            raise Refused(Row(403, "http_request_denied", PORT_PROHIBITED))
        refuse_prohibited(self._access, target.host)
        return Origin("http", target.host, target.port, proxy=self._through(request, hop))

    def _through(self, request: Request, hop: ClientHop) -> NextProxy | None:
        parent, rules = self.parent, self._rules
        lines = strip(request.fields, request.facts)
        if parent is None:
            return None
        dropped = {b"host", b"expect", *FRAMING}  # 9110 §10.1.1: without content nothing is expected
        if rules.authorization is not None:
            dropped.add(b"proxy-authorization")
        said = [line for line in lines if line.lowered not in dropped]
        if rules.forwarded == "replace":
            said = [line for line in said if not is_said_of_hops(line.lowered)]
        said.append(make_line(b"Via", b"%d.%d %b" % (*request.version, rules.mark or rules.pseudonym)))
        if rules.forwarded != "leave":
            said = say_client(said, request.target, hop, rules.spoken)
        return parent._replace(authorization=rules.authorization or b"", tunnel=True, fields=tuple(said))

    def dial(self, origin: Origin) -> Coroutine[Any, Any, FarWire]:
        """Connect to what `destination` gave. The coroutine raises ExchangeError."""
        return self._dialler.dial(origin)

    def refusal(self, error: ExchangeError) -> tuple[Response, bytes]:
        """What the client is told where there is no far side: what the parent said, or what we say."""
        if isinstance(error, ProxyRefused) and error.status:
            if error.status != 407 or self._rules.authorization is None:
                return self._passed_on(error)
            return self._own(PARENT_WANTS_OTHERS, error.status, error.fields)
        return self._own(row_of_error(error))

    def _own(
        self, row: Row, received: int | None = None, fields: Iterable[FieldLine] = ()
    ) -> tuple[Response, bytes]:
        before = [line for line in fields if line.lowered == b"proxy-status"]
        lines = [*appended(before, self._said(row.error, received)), date_line()]
        return Response(row.status, lines), text_of(row, self._rules.next_hop).encode() + b"\n"

    def _said(self, error: str, received: int | None) -> FieldLine:
        """Our member of Proxy-Status for what a parent answered."""
        parent, rules = self.parent, self._rules
        hop = ""
        if parent is not None and received is not None and rules.says == "detailed":
            hop = Origin(parent.scheme, parent.host, parent.port).authority
        return status_line(rules.pseudonym, error, received, hop)

    def _passed_on(self, error: ProxyRefused) -> tuple[Response, bytes]:
        facts = gather(HTTP_11, False, error.fields)
        received = Response(error.status, list(error.fields), error.reason_phrase.encode("latin-1"))
        lines: Sequence[FieldLine] = [
            line for line in strip(error.fields, facts) if line.lowered not in FRAMING
        ]
        said = [*lines, via_of_response(received, self._rules)]
        if self._rules.says != "errors":
            said = appended(said, self._said("", error.status))
        return Response(error.status, said, received.reason_phrase), error.content
