"""A page with its images, and ways to fetch it: what "site locality" means to a client.

The page is of the size of the one that Nielsen et al. measured in 1997 ("Network Performance Effects of
HTTP/1.1, CSS1, and PNG", §4): 42 KB of HTML, and 42 images of 125 KB altogether, few of them large. Images
are asked for once the HTML is there. A second visit asks whether each has changed (RFC 9110 §13.1.2).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from perdure.lab.stage import Act
from perdure.server.asgi import Application

IMAGES: Final = 42
HTML_OCTETS: Final = 42_000
IMAGE_OCTETS: Final = tuple(
    500 + 100 * number + (6000 if number % 20 == 0 else 0) for number in range(IMAGES)
)
"""From 0.6 to 10.5 KB."""
TAG: Final = b'"1"'
PATHS: Final = ("/", *(f"/images/{number}.gif" for number in range(IMAGES)))
PATIENT: Final[dict[str, Any]] = {"pool_timeout": 600.0, "read_timeout": 600.0}
"""A modem needs most of a minute, and nobody shall give up."""
REVALIDATION: Final = {"If-None-Match": TAG.decode()}


def page_application() -> Application:
    """An application that serves the page, with entity tags."""
    contents = dict(zip(PATHS, (bytes(HTML_OCTETS), *map(bytes, IMAGE_OCTETS)), strict=True))

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])
        content = contents[scope["path"]]
        unchanged = (b"if-none-match", TAG) in [(name, value) for name, value in scope["headers"]]
        status = 304 if unchanged else 200
        headers = [(b"etag", TAG)]
        if not unchanged:
            kind = b"text/html" if scope["path"] == "/" else b"image/gif"
            headers += [(b"content-type", kind), (b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if unchanged else content})

    return application


class Strategy(NamedTuple):
    """A way to fetch the page.

    Attributes:
        name: in words.
        settings: of `perdure.AsyncClient`; None pipelines instead.
        connections: how many it needs, at most.
        round_trips: the model: what N objects take in round trips, without the time that octets take.
    """

    name: str
    settings: dict[str, Any] | None
    connections: int
    round_trips: Callable[[int], float]


def _parallel(connections: int, trips: int) -> Callable[[int], float]:
    return lambda objects: trips * math.ceil(objects / connections)


def _parallel_persistent(connections: int) -> Callable[[int], float]:
    # The page by itself; then every connection serves its share, all but the first after a handshake.
    return lambda objects: 2 + 1 + math.ceil((objects - 1) / connections)


SERIAL: Final = Strategy(
    "serial 1.0", {"http_version": "1.0", "persist": False, "max_per_origin": 1}, 43, _parallel(1, 2)
)
PARALLEL: Final = Strategy(
    "4 parallel 1.0", {"http_version": "1.0", "persist": False, "max_per_origin": 4}, 43, _parallel(4, 2)
)
KEEP_ALIVE: Final = Strategy(
    "1.0 keep-alive", {"http_version": "1.0", "max_per_origin": 1}, 1, lambda n: n + 1
)
PERSISTENT: Final = Strategy("1.1 persistent", {"max_per_origin": 1}, 1, lambda n: n + 1)
SIX: Final = Strategy("6 parallel persistent", {"max_per_origin": 6}, 6, _parallel_persistent(6))
PIPELINED: Final = Strategy("1.1 pipelined", None, 1, lambda n: 3)
DEFAULT: Final = Strategy("perdure's default", {}, 8, _parallel_persistent(8))
STRATEGIES: Final = (SERIAL, PARALLEL, KEEP_ALIVE, PERSISTENT, SIX, PIPELINED, DEFAULT)
"""The seven; the models are those of the textbook: 2NR, 2R⌈N/k⌉, (N+1)R, and a few R for a pipeline."""


async def visit(act: Act, client: str, server: str, strategy: Strategy, *, again: bool) -> float:
    """Fetch the page: the seconds it took.

    Args:
        client, server: hosts; the server is running.
        again: ask whether everything is as it was, as on a second visit.
    """
    began = act.now()
    if strategy.settings is None:
        await _pipeline(act, client, server, again=again)
        return act.now() - began
    headers = REVALIDATION if again else {}
    asking = await act.client(client, **PATIENT, **strategy.settings)

    async def ask(path: str) -> None:
        response = await asking.get(act.url(server, path), headers=headers)
        if response.status != (304 if again else 200):
            raise RuntimeError(f"{path}: {response.status}")

    await ask("/")
    await asyncio.gather(*(ask(path) for path in PATHS[1:]))
    return act.now() - began


async def _pipeline(act: Act, client: str, server: str, *, again: bool) -> None:
    """The same on one connection, all images asked for at once. RFC 9112 §9.3.2."""
    peer = await act.dial(client, server)
    peer.patience = 600.0
    condition = f"If-None-Match: {TAG.decode()}\r\n" if again else ""
    host = act.url(server).split("/")[2]
    heads = [
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\n{condition}\r\n".encode() for path in PATHS
    ]
    peer.send(heads[0])
    await _response(peer)
    peer.send(b"".join(heads[1:]))
    for _ in heads[1:]:
        await _response(peer)
    peer.close()


async def _response(peer: Any) -> None:
    head = await peer.receive_until(b"\r\n\r\n")
    length = next(
        (line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b"0"
    )
    await peer.receive_exactly(int(length))
