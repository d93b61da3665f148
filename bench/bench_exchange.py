"""What does an exchange cost without the kernel: the server's own part of a request, and the application's?

The octets of requests go into `data_received` of a connection whose transport only counts what is
written; the event loop is turned until everything is answered. The least of the rounds is printed,
in CPU microseconds of a request: with no kernel in between it repeats to a few per cent, also on a
machine that does other things. `bench_server.py` compares whole servers.

    scripts/bench exchange
    python bench/bench_exchange.py --rounds 50 --loop asyncio
"""

from __future__ import annotations

import argparse
import asyncio
import time
from typing import Any

import uvloop

from perdure.server.asgi import AsgiConnection
from perdure.server.registry import Registry
from perdure.server.settings import ServerSettings

REQUESTS = 320
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
Cache-Control: max-age=0
""".replace(b"\n", b"\r\n")
GET = b"GET / HTTP/1.1\r\n" + FIELDS + b"\r\n"
CLOSING = b"GET / HTTP/1.1\r\n" + FIELDS + b"Connection: close\r\n\r\n"
POST = b"POST / HTTP/1.1\r\n" + FIELDS + b"Content-Length: 1024\r\n\r\n" + b"x" * 1024
HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"13")]
BODY = b"Hello, world!"


def numbered(number: int) -> bytes:
    """A request to one of many targets, with a field that nobody said before."""
    return b"GET /item/%d HTTP/1.1\r\n%bX-Request-Id: %d\r\n\r\n" % (number % 5000, FIELDS, number)


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answer."""
    if scope["method"] == "POST":
        while (await receive())["more_body"]:
            pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


async def waiting(scope: Any, receive: Any, send: Any) -> None:
    """Answer after a turn of the loop, as what asks a database does."""
    await asyncio.sleep(0)
    await application(scope, receive, send)


class Counting:
    """A transport that counts responses."""

    def __init__(self) -> None:
        self.responses = self.writes = 0
        self.closing = False

    def write(self, octets: bytes) -> None:
        """Count."""
        self.writes += 1
        self.responses += octets.count(b"HTTP/1.1 200")

    def get_extra_info(self, name: str) -> Any:
        """Addresses."""
        return ("127.0.0.1", 40000) if name in ("peername", "sockname") else None

    def get_write_buffer_size(self) -> int:
        """Nothing waits."""
        return 0

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self.closing

    def can_write_eof(self) -> bool:
        """As a socket."""
        return True

    def write_eof(self) -> None:
        """Nothing to do."""

    def set_protocol(self, protocol: object) -> None:
        """Whom to tell of what arrives: nobody."""

    def close(self) -> None:
        """Note it."""
        self.closing = True


class Bench:
    """One registry, and connections to it."""

    def __init__(self) -> None:
        self.registry = Registry(ServerSettings(max_requests=None))

    def connection(self, app: Any = application) -> tuple[AsgiConnection, Counting]:
        """A new one."""
        connection, transport = AsgiConnection(self.registry, app, None), Counting()
        connection.connection_made(transport)  # type: ignore[arg-type]  # as much of a transport as is used
        return connection, transport

    async def answered(self, transport: Counting, count: int) -> None:
        """Turn the loop until so many were answered."""
        turns = 0
        while transport.responses < count:
            await asyncio.sleep(0)
            turns += 1
            if turns > 100 * REQUESTS:
                raise SystemExit(f"{transport.responses} of {count} were answered")

    async def persistent(self, requests: list[bytes], count: int, app: Any = application) -> float:
        """CPU of a request, all on one connection; each of `requests` holds `count`."""
        connection, transport = self.connection(app)
        seen = 0
        before = time.process_time()
        for octets in requests:
            connection.data_received(octets)
            seen += count
            await self.answered(transport, seen)
        used = time.process_time() - before
        connection.connection_lost(None)
        return used / seen

    async def connecting(self, octets: bytes) -> float:
        """CPU of a connection with one request, from its beginning to its end."""
        before = time.process_time()
        for _ in range(REQUESTS):
            connection, transport = self.connection()
            connection.data_received(octets)
            await self.answered(transport, 1)
            connection.eof_received()
            connection.connection_lost(None)
        return (time.process_time() - before) / REQUESTS

    async def turn(self) -> float:
        """CPU of one turn of the loop, which is a part of each single request here."""
        before = time.process_time()
        for _ in range(REQUESTS):
            await asyncio.sleep(0)
        return (time.process_time() - before) / REQUESTS


async def measure(rounds: int) -> None:
    """Measure and print."""
    bench = Bench()
    few, single = REQUESTS // 16, REQUESTS
    numbers = iter(range(1 << 40))

    def new(count: int) -> bytes:
        return b"".join(numbered(next(numbers)) for _ in range(count))

    cases = {
        "a turn of the loop": bench.turn,
        "GET": lambda: bench.persistent([GET] * single, 1),
        "GET, 1 new field, 5000 paths": lambda: bench.persistent([new(1) for _ in range(single)], 1),
        "GET, the application waits": lambda: bench.persistent([GET] * single, 1, waiting),
        "POST 1 KiB": lambda: bench.persistent([POST] * single, 1),
        "GET, 16 pipelined": lambda: bench.persistent([GET * 16] * few, 16),
        "16 pipelined, 1 new field": lambda: bench.persistent([new(16) for _ in range(few)], 16),
        "16 pipelined, waiting": lambda: bench.persistent([GET * 16] * few, 16, waiting),
        "GET, a connection for each": lambda: bench.connecting(CLOSING),
    }
    for name, case in cases.items():
        print(f"{name:<32}{min([await case() for _ in range(rounds)]) * 1e6:8.2f} µs")


def main() -> None:
    """Run it on one of the loops."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--loop", choices=("uvloop", "asyncio"), default="uvloop")
    options = parser.parse_args()
    factory = uvloop.new_event_loop if options.loop == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(measure(options.rounds))


if __name__ == "__main__":
    main()
