"""What the servers of scenarios serve: objects of a known size."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from perdure.server.asgi import Application


def objects_of(octets: int, *, after: float = 0.0) -> Application:
    """An application that answers every request with as much content.

    Args:
        octets: of the content; it has a Content-Length.
        after: seconds that the application takes.
    """
    content = b"x" * octets
    head = {
        "type": "http.response.start",
        "status": 200,
        "headers": [(b"content-length", b"%d" % octets), (b"content-type", b"application/octet-stream")],
    }

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])
        if after:
            await asyncio.sleep(after)
        await send(head)
        await send({"type": "http.response.body", "body": content})

    return application


def counting(paths: Counter[str]) -> Application:
    """An application that counts the requests it has read, by path, and answers each with two octets."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])
        paths[scope["path"]] += 1
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    return application
