"""The ASGI application that the endurance tests torment: every answer says whose it is.

/echo/ID?octets=N         ID, then N octets of padding; Content-Length
/stream/ID?octets=N       the same in pieces, of a length that is not said
/sum/ID                   ID and the octets and CRC 32 of the request's content
/unread/ID                ID, without reading the request's content
/wait/ID                  ID, after others had their turn
/process                  the id of the process that answers
/health                   as JSON: tasks, objects that the collector knows, its garbage
"""

from __future__ import annotations

import asyncio
import ctypes
import functools
import gc
import json
import os
import sys
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.types import Receive, Scope, Send

from tests.peers_application import answer_lifespan

PIECE: Final = bytes(range(256)) * 64
WAIT_SECONDS: Final = 0.02
MOST_OCTETS: Final = 4 * 1048576


def padding(octets: int) -> bytes:
    """What follows the id: so many octets of a pattern that shows where any of them is missing."""
    return (PIECE * (octets // len(PIECE) + 1))[:octets]


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer as the module says."""
    if scope["type"] == "lifespan":
        await answer_lifespan(receive, send)
        return
    _, kind, *rest = scope["path"].split("/")
    handler = _HANDLERS.get(kind)
    if handler is None:
        await _whole(send, b"no such thing", 404)
        return
    await handler(scope, receive, send, rest[0].encode() if rest else b"")


async def _whole(send: Send, content: bytes, status: int = 200) -> None:
    length = (b"content-length", b"%d" % len(content))
    await send({"type": "http.response.start", "status": status, "headers": [length]})
    await send({"type": "http.response.body", "body": content})


def _octets_asked(scope: Scope) -> int:
    """As many as the query says; garbage may say anything."""
    said = scope["query_string"].removeprefix(b"octets=")
    return min(int(said), MOST_OCTETS) if said.isdigit() else 0


async def _echo(scope: Scope, receive: Receive, send: Send, name: bytes) -> None:
    await _whole(send, name + padding(_octets_asked(scope)))


async def _stream(scope: Scope, receive: Receive, send: Send, name: bytes) -> None:
    content = name + padding(_octets_asked(scope))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for start in range(0, len(content), len(PIECE)):
        piece = content[start : start + len(PIECE)]
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _sum(scope: Scope, receive: Receive, send: Send, name: bytes) -> None:
    octets = checksum = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        octets += len(message["body"])
        checksum = zlib.crc32(message["body"], checksum)
        more = message["more_body"]
    await _whole(send, b"%b %d %d" % (name, octets, checksum))


async def _unread(scope: Scope, receive: Receive, send: Send, name: bytes) -> None:
    await _whole(send, name)


async def _wait(scope: Scope, receive: Receive, send: Send, name: bytes) -> None:
    await asyncio.sleep(WAIT_SECONDS)
    await _whole(send, name)


async def _process(scope: Scope, receive: Receive, send: Send, name: bytes) -> None:
    await _whole(send, b"%d" % os.getpid())


def forget() -> int:
    """Empty every bounded cache of ours; how many results they held."""
    caches = [thing for thing in gc.get_objects() if isinstance(thing, functools._lru_cache_wrapper)]
    ours = [cache for cache in caches if cache.__module__.startswith("perdure.")]
    held = sum(cache.cache_info().currsize for cache in ours)
    for cache in ours:
        cache.cache_clear()
    for name, module in list(sys.modules.items()):
        kept = [vars(module)[word] for word in vars(module) if word.startswith("_remembered")]
        for thing in kept if name.startswith("perdure.") else ():
            if isinstance(thing, dict):
                held += len(thing)
                thing.clear()
    return held


def give_back_memory() -> None:
    """Return what is free to the kernel, where the C library can (glibc): what stays resident is in use.

    Otherwise it keeps as much as was ever in use at once, which grows with luck and not with leaks.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


async def _health(scope: Scope, receive: Receive, send: Send, name: bytes) -> None:
    remembered = forget()
    gc.collect()
    give_back_memory()
    objects = gc.get_objects()
    kinds = Counter(type(thing).__qualname__ for thing in objects)
    report = {
        "tasks": len(asyncio.all_tasks()),
        "objects": len(objects),
        "garbage": len(gc.garbage),
        "remembered": remembered,
        "kinds": dict(kinds.most_common(40)),
        "of_ours": {name: count for name, count in kinds.items() if name in _OURS},
    }
    await _whole(send, json.dumps(report).encode())


_OURS: Final = frozenset(
    {"AsgiConnection", "AsgiExchange", "ServerConnection", "Lingering", "Silent", "Cork", "Task"}
)
_Handler = Callable[[Scope, Receive, Send, bytes], Awaitable[None]]
_HANDLERS: Final[dict[str, _Handler]] = {
    "echo": _echo,
    "stream": _stream,
    "sum": _sum,
    "unread": _unread,
    "wait": _wait,
    "process": _process,
    "health": _health,
}
