"""The application that the origin of `perdure demo` serves: a kilobyte of text for every request."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perdure.server.asgi import Receive, Scope, Send

LINE = b"A connection that persists is one handshake less.\n"
CONTENT = (LINE * 21)[:1024]
FIELDS = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(CONTENT))]


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """ASGI 3."""
    if scope["type"] != "http":
        raise ValueError(f"{scope['type']} is not served here")
    await send({"type": "http.response.start", "status": 200, "headers": FIELDS})
    await send({"type": "http.response.body", "body": CONTENT})
