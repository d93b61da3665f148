"""What does forwarding cost without the kernel: the gateway's own part of a request?

The octets of requests go into `data_received` of a client's connection, those of the answer into
that of the connection to the origin; transports only count what is written. The least of the rounds
is printed, in CPU microseconds of a request: with no kernel in between, but for the look at the idle
connection, it repeats to a few per cent, also on a machine that does other things.
`bench_gateway.py` compares whole gateways.

    scripts/bench forward
    python bench/bench_forward.py --rounds 50
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import time
from collections.abc import Callable
from typing import Any

import uvloop

from perdure.intermediary.gateway import Gateway

REQUESTS = 200
CLIENTS = 8
FIELDS = b"""\
Host: 127.0.0.1:8000
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8
Accept-Language: en-GB,en;q=0.7,de;q=0.3
Accept-Encoding: gzip, deflate, br, zstd
Referer: http://127.0.0.1/index.html
Cookie: session=0123456789abcdef0123456789abcdef; theme=dark
Upgrade-Insecure-Requests: 1
Sec-Fetch-Dest: document
""".replace(b"\n", b"\r\n")
RESPONSE = (
    b"HTTP/1.1 200 OK\r\nDate: %b\r\nServer: origin\r\n"
    b'Content-Type: text/plain\r\nETag: "%d"\r\nCache-Control: max-age=60\r\n'
    b"Content-Length: 100\r\n\r\n" + b"x" * 100
)
DATE = b"Sun, 06 Nov 1994 08:49:37 GMT"


def same(number: int) -> bytes:
    """What every request says."""
    return b"GET /a/b HTTP/1.1\r\n%bCache-Control: max-age=0\r\n\r\n" % FIELDS


def pathed(number: int) -> bytes:
    """The same, to one of many targets."""
    return b"GET /item/%d HTTP/1.1\r\n%bCache-Control: max-age=0\r\n\r\n" % (number % 5000, FIELDS)


def numbered(number: int) -> bytes:
    """A request to one of many targets, with a field that nobody said before."""
    return b"GET /item/%d HTTP/1.1\r\n%bX-Request-Id: %d\r\n\r\n" % (number % 5000, FIELDS, number)


def answer(number: int) -> bytes:
    """What every answer says."""
    return RESPONSE % (DATE, 1)


def tagged(number: int) -> bytes:
    """An answer that nobody gave before."""
    return RESPONSE % (DATE, number)


class Counting:
    """A transport that counts writes."""

    def __init__(self, own: socket.socket | None = None) -> None:
        self.writes = 0
        self.latest = b""
        self.own = own

    def write(self, octets: bytes) -> None:
        """Count."""
        self.writes += 1
        self.latest = octets

    def get_extra_info(self, name: str) -> Any:
        """Addresses."""
        return self.own if name == "socket" else ("127.0.0.1", 40000) if name != "sslcontext" else None

    def get_write_buffer_size(self) -> int:
        """Nothing waits."""
        return 0


class Origins:
    """A network to which connections are made at once."""

    def __init__(self) -> None:
        self.wires: list[Any] = []
        self.now = asyncio.get_running_loop().time

    async def dial(self, factory: Callable[[], Any], *_: Any, **__: Any) -> Any:
        """Make a connection whose socket is silent."""
        near, self.far = socket.socketpair()
        wire = factory()
        wire.connection_made(Counting(near))
        self.wires.append(wire)
        return wire


async def measure(requests: list[bytes], answers: list[bytes]) -> float:
    """CPU seconds of forwarding so many requests and their answers, once everything is warm."""
    origins: Any = Origins()
    gateway = Gateway("http://127.0.0.1:9", network=origins, origin_max_requests=None)
    clients = [gateway.make_connection() for _ in range(CLIENTS)]
    for client in clients:
        client.connection_made(Counting())  # type: ignore[arg-type]  # as much of a transport as is used
    clients[0].data_received(requests[-1])
    while not origins.wires or not origins.wires[0].transport.writes:  # noqa: ASYNC110 - a dial of our own
        await asyncio.sleep(0)
    (wire,) = origins.wires
    wire.data_received(answers[-1])
    for client in clients:
        for number in range(3):
            client.data_received(requests[number])
            wire.data_received(answers[number])
    await asyncio.sleep(0)
    began = time.process_time()
    for number, (request, response) in enumerate(zip(requests, answers, strict=True)):
        clients[number % CLIENTS].data_received(request)
        wire.data_received(response)
    spent = time.process_time() - began
    written = sum(client.transport.writes for client in clients)  # type: ignore[attr-defined]
    assert written == len(requests) + 3 * CLIENTS + 1, written
    assert len(origins.wires) == 1
    return spent


CASES = {
    "the head before once more": (same, answer),
    "another target": (pathed, answer),
    "another target, one field new": (numbered, answer),
    "the same head, answers differ": (same, tagged),
    "both differ": (numbered, tagged),
}


def main() -> None:
    """Print the least of the rounds for each case."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--case", default="", help="cases whose name holds this")
    options = parser.parse_args()
    for name, (request, response) in CASES.items():
        if options.case not in name:
            continue
        requests, answers = list(map(request, range(REQUESTS))), list(map(response, range(REQUESTS)))
        least = min(uvloop.run(measure(requests, answers)) for _ in range(options.rounds))
        print(f"{name:32} {least / REQUESTS * 1e6:6.2f} µs")


if __name__ == "__main__":
    main()
