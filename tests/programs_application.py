"""An ASGI application for tests of programs: says what it was asked, or what the path asks for."""

from __future__ import annotations

from typing import Any


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """`/status/404` answers with that status, anything else with the request in words."""
    if scope["type"] != "http":
        raise ValueError("no lifespan here")
    content = b""
    more = True
    while more:
        message = await receive()
        content += message.get("body", b"")
        more = message.get("more_body", False)
    path = scope["path"]
    status = int(path.rpartition("/")[2]) if path.startswith("/status/") else 200
    fields = b" ".join(name + b"=" + value for name, value in scope["headers"])
    said = b"%b %b %b\n%b\n%b" % (
        scope["method"].encode(), path.encode(), scope["http_version"].encode(), fields, content,
    )  # fmt: skip
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(said))],
        }
    )
    await send({"type": "http.response.body", "body": said})
