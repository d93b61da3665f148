"""An ASGI application for real servers of others to serve: it answers with the method and the path."""

from __future__ import annotations

from starlette.types import Receive, Scope, Send


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer any request with what was asked for; let the lifespan pass."""
    if scope["type"] == "lifespan":
        await answer_lifespan(receive, send)
        return
    content = f"{scope['method']} {scope['path']}".encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


async def answer_lifespan(receive: Receive, send: Send) -> None:
    """Start and stop at once."""
    while True:
        event = await receive()
        await send({"type": f"{event['type']}.complete"})
        if event["type"] == "lifespan.shutdown":
            return
