"""The server of a race and its relay: `python -m bench.race.origin fin 5000 16`, started by `run`.

It answers each request with its method and path, which are its identity, and ends what has lain idle for the
limit. The limit is counted by the server, from the moment a response is written; nobody else's clock decides
who was late.
Prints the ports of the relay, by method; once standard input ends, what it counted.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from typing import Any, Final

from bench.clients.standstill import Standstill
from bench.race import relay
from bench.race.variant import DELAY_SECONDS, LIMIT_SECONDS, VARIANTS, Variant

METHODS: Final = ("GET", "POST")
LATE: Final = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Origin:
    """What all connections share.

    Attributes:
        limit: the idle limit, in seconds.
        change_at: after so many delivered requests the limit is the usual one.
        delivered: how often each request was read to its end.
        reusing: requests by method that came on a connection that had carried one before.
    """

    def __init__(self, variant: Variant, requests: int) -> None:
        self.variant = variant
        self.limit = variant.first_limit
        self.change_at = requests // 2
        self.delivered: Counter[bytes] = Counter()
        self.reusing: Counter[str] = Counter()
        self.connections: set[Inbound] = set()
        fields = (
            ""
            if variant.hint is None
            else f"Connection: keep-alive\r\nKeep-Alive: timeout={variant.hint}\r\n"
        )
        self.head = f"HTTP/1.1 200 OK\r\n{fields}Content-Length: ".encode()

    def deliver(self, identity: bytes) -> None:
        self.delivered[identity] += 1
        if self.limit != LIMIT_SECONDS and len(self.delivered) >= self.change_at:
            self.limit = LIMIT_SECONDS
            for connection in list(self.connections):
                connection.rest()


class Inbound(asyncio.Protocol):
    """One connection."""

    transport: asyncio.Transport

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.buffer = b""
        self.served = 0
        self.idle_since = 0.0
        self.timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.origin.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._wake()
        self.origin.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._wake()
        self.buffer += data
        while (identity := self._request()) is not None:
            self.origin.deliver(identity)
            if self.served:
                self.origin.reusing[identity.split()[0].decode()] += 1
            self.served += 1
            self.transport.write(self.origin.head + b"%d\r\n\r\n%b" % (len(identity), identity))
        if not self.buffer:
            self.idle_since = asyncio.get_running_loop().time()
            self.rest()

    def _request(self) -> bytes | None:
        """The identity of the next request in the buffer, once it is whole."""
        head, blank, rest = self.buffer.partition(b"\r\n\r\n")
        if not blank:
            return None
        _, named, after = head.lower().partition(b"\r\ncontent-length:")
        length = int(after.partition(b"\r\n")[0]) if named else 0
        if len(rest) < length:
            return None
        self.buffer = rest[length:]
        return head.partition(b" HTTP/")[0]

    def rest(self) -> None:
        """Wait for the next request, until the limit that now holds."""
        self._wake()
        if self.served and not self.buffer:
            when = self.idle_since + self.origin.limit
            self.timer = asyncio.get_running_loop().call_at(when, self._end)

    def _wake(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def _end(self) -> None:
        if self.origin.variant.end == "RST":
            relay.reset(self.transport)
            return
        if self.origin.variant.end == "408":
            self.transport.write(LATE)
        self.transport.close()


def counted(origin: Origin, seen: dict[str, relay.Seen]) -> dict[str, Any]:
    """What became of the requests, by method."""
    found: dict[str, Any] = {}
    for method in METHODS:
        of_method = {
            name: count for name, count in origin.delivered.items() if name.startswith(method.encode())
        }
        found[method] = {
            "delivered": sum(of_method.values()),
            "twice": sum(count > 1 for count in of_method.values()),
            "repeated": sum(count > 1 for count in seen[method].sent.values()),
            "reusing": origin.reusing[method],
            "dials": seen[method].dials,
        }
    return found


async def serve(variant: Variant, requests: int, lanes: int) -> None:
    loop = asyncio.get_running_loop()
    origin = Origin(variant, requests)
    server = await loop.create_server(lambda: Inbound(origin), "127.0.0.1", 0, backlog=1024)
    port = int(server.sockets[0].getsockname()[1])
    seen = {method: relay.Seen() for method in METHODS}
    relays: list[asyncio.Server] = []
    ports: dict[str, list[int]] = {}
    for method in METHODS:
        opened = [await relay.listen(port, DELAY_SECONDS, seen[method]) for _ in range(lanes)]
        relays += [one for one, _ in opened]
        ports[method] = [number for _, number in opened]
    print(json.dumps(ports), flush=True)
    with Standstill() as standstill:
        await loop.run_in_executor(None, sys.stdin.read)
    told = {"methods": counted(origin, seen), "stood_still": standstill.longest}
    print(json.dumps(told), flush=True)
    for one in [server, *relays]:
        one.close()


def main() -> None:
    name, requests, lanes = sys.argv[1:]
    variant = next(one for one in VARIANTS if one.name == name)
    asyncio.run(serve(variant, int(requests), int(lanes)))


if __name__ == "__main__":
    main()
