"""A gateway that opens a tunnel for every CONNECT, wherever it leads; what a WebSocket says at first."""

from __future__ import annotations

from perdure.client.errors import ExchangeError
from perdure.client.loop_dialling import LoopDialler
from perdure.client.settings import ClientSettings
from perdure.client.urls import NextProxy, Origin
from perdure.core import Request, Response, make_lines
from perdure.intermediary.failures import row_of
from perdure.intermediary.gateway import Gateway
from perdure.intermediary.inbound import GatewayConnection
from perdure.intermediary.tunnel import FarWire
from perdure.wire.network import Network
from perdure.wire.raw import RawPeer
from perdure.wire.tls import TlsContext
from tests.intermediary.conftest import Stage

OPENED = b"HTTP/1.1 200 Connected\r\n\r\n"
ASKING = (
    b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
OFFERING = b"POST /exec HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
TCP = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
REFUSALS = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 426 Upgrade Required\r\nConnection: upgrade\r\nUpgrade: foo\r\nContent-Length: 2\r\n\r\nno",
    b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 2\r\n\r\nno",
    b"HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
]


class Connecting(Gateway):
    """A gateway whose CONNECT leads anywhere.

    Attributes:
        parent: the proxy that far sides are connected through; None: none.
        tls: the context to speak TLS with, to the parent.
    """

    parent: NextProxy | None = None
    tls: TlsContext | None = None

    def make_connection(self) -> GatewayConnection:
        return ConnectingConnection(self)

    def dialler(self) -> LoopDialler[FarWire]:
        network: Network = self._network
        settings = ClientSettings(connect_timeout=5.0, write_timeout=20.0)
        return LoopDialler(settings, network, self._make_far, self.tls)

    def _make_far(self, origin: Origin) -> FarWire:
        return FarWire(self._shared.tunnels, 20.0)


class ConnectingConnection(GatewayConnection):
    """A client's connection on which CONNECT is answered."""

    __slots__ = ("_gateway",)

    def __init__(self, gateway: Connecting) -> None:
        super().__init__(gateway._shared)
        self._gateway = gateway

    def _answers_itself(self, request: Request) -> bool:
        if request.method != b"CONNECT":
            return super()._answers_itself(request)
        host, _, port = request.target.decode().rpartition(":")
        gateway = self._gateway
        origin = Origin("http", host, int(port), proxy=gateway.parent)
        opened = Response(200, make_lines([(b"Content-Length", b"5")]), b"Connected")
        self._shared.tunnels.open(self, gateway.dialler().dial(origin), opened, self._dial_failed)
        return True

    def _dial_failed(self, error: ExchangeError) -> None:
        self.refuse_with(row_of(error.reason))


def connect_to(stage: Stage) -> bytes:
    """The request for a tunnel to the stage's origin."""
    authority = b"%b:%d" % (stage.origin.host.encode(), stage.origin.port)
    return b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (authority, authority)


async def tunnelled(stage: Stage) -> tuple[RawPeer, RawPeer]:
    """Both ends of a tunnel that is open: the client, the far side."""
    client = await stage.client()
    client.send(connect_to(stage))
    far = await stage.origin.accept()
    assert await client.receive_until(b"\r\n\r\n") == OPENED
    return client, far
