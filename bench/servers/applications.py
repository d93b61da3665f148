"""The same application for ASGI, for WSGI and for aiohttp: one answer for each path.

    /hello            12 octets with their length         /number/N     N as text
    /stream           three parts, no length              /sleep/S      /hello, S seconds later
    /echo             the request content, read wholly    /ignore       answers without reading
    /refuse           413 without reading                 /late         reads after half a second, then /echo
    /short, /long     less, more content than announced   /no-content   204, with content
    /raise, /break    fails before, after the first part  /big          32 MiB

HEAD is answered like GET, content and all: taking it away is the server's work.
"""

from __future__ import annotations

import time
from asyncio import sleep
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from typing import Any, Final, NamedTuple

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PART: Final = b"x" * 65536
BIG_PARTS: Final = 512


class Plan(NamedTuple):
    """What to answer.

    Attributes:
        length: the Content-Length to announce; None: none.
        parts: the content, part by part.
        fails_after: raise after so many parts; 0 is before the head.
    """

    status: int
    length: int | None
    parts: tuple[bytes, ...]
    fails_after: int | None = None


class Deliberate(Exception):
    """The failure of /raise and /break."""


HELLO: Final = Plan(200, 12, (b"Hello, world",))
PLANS: Final = {
    "/hello": HELLO,
    "/stream": Plan(200, None, (b"one,", b"two,", b"three")),
    "/ignore": Plan(200, 7, (b"ignored",)),
    "/refuse": Plan(413, 7, (b"refused",)),
    "/short": Plan(200, 10, (b"sh", b"ort")),
    "/long": Plan(200, 5, (b"long", b"er than announced")),
    "/no-content": Plan(204, None, (b"content",)),
    "/raise": Plan(200, 12, (), fails_after=0),
    "/break": Plan(200, None, (b"one,",), fails_after=1),
    "/big": Plan(200, BIG_PARTS * len(PART), (PART,) * BIG_PARTS),
}


def plan_for(path: str) -> Plan:
    if path.startswith("/number/"):
        number = path.removeprefix("/number/").encode()
        return Plan(200, len(number), (number,))
    return PLANS.get(path, HELLO)


def pause_before(path: str) -> float:
    """Seconds to wait before anything else."""
    if path.startswith("/sleep/"):
        return float(path.removeprefix("/sleep/"))
    return 0.5 if path == "/late" else 0.0


def echo(content: bytes) -> Plan:
    return Plan(200, len(content), (content,))


def reads(path: str) -> bool:
    return path in ("/echo", "/late")


# --- ASGI ----------------------------------------------------------------------------------


async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
    """The application for uvicorn, hypercorn, granian, gunicorn's ASGI worker and perdure."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    path = scope["path"]
    if pause := pause_before(path):
        await sleep(pause)
    content = await _read(receive) if reads(path) else b""
    if content is None:
        return
    plan = echo(content) if reads(path) else plan_for(path)
    if plan.fails_after == 0:
        raise Deliberate(path)
    headers = [(b"content-type", b"text/plain")]
    if plan.length is not None:
        headers.append((b"content-length", b"%d" % plan.length))
    await send({"type": "http.response.start", "status": plan.status, "headers": headers})
    last = len(plan.parts) - 1
    for number, part in enumerate(plan.parts):
        more = number != last or plan.fails_after is not None or plan.length is None
        await send({"type": "http.response.body", "body": part, "more_body": more})
    if plan.fails_after is not None:
        raise Deliberate(path)
    if plan.length is None:
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _read(receive: Receive) -> bytes | None:
    """The whole content, or None where the client is said to have gone: nobody waits for an answer."""
    content = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part: bytes = message.get("body", b"")
        content += part
        if not message.get("more_body", False):
            return content


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


# --- WSGI ----------------------------------------------------------------------------------


def wsgi(
    environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], Any]
) -> Iterable[bytes]:
    """The application for gunicorn's threads and cheroot."""
    path = environ["PATH_INFO"]
    if pause := pause_before(path):
        time.sleep(pause)
    plan = echo(_read_input(environ)) if reads(path) else plan_for(path)
    if plan.fails_after == 0:
        raise Deliberate(path)
    headers = [("Content-Type", "text/plain")]
    if plan.length is not None:
        headers.append(("Content-Length", str(plan.length)))
    start_response(f"{plan.status} Status", headers)
    if plan.fails_after is not None:
        return _breaking(plan, path)
    if plan.length is None:
        return iter(plan.parts)  # without len(), from which a server might know the length
    return plan.parts


def _read_input(environ: dict[str, Any]) -> bytes:
    length = environ.get("CONTENT_LENGTH")
    content: bytes = environ["wsgi.input"].read(*([int(length)] if length else []))
    return content


def _breaking(plan: Plan, path: str) -> Iterator[bytes]:
    yield from plan.parts
    raise Deliberate(path)
