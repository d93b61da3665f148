"""A server as a program, for tests of processes: python -m tests.server.program '{"workers": 2}'.

Says one JSON object a line: {"urls": [...]} once it listens, {"error": ...} if it cannot.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perdure.core import Error
from perdure.server.asgi import Receive, Scope, Send
from perdure.server.process import run
from perdure.server.serve import ListeningServer, Server
from perdure.wire.bind import BoundSocket
from tests.server.stand import plain, read_all

OPTIONS: dict[str, Any] = json.loads(sys.argv[1]) if __name__ == "__main__" else {}


def say(**words: object) -> None:
    """One line of JSON."""
    print(json.dumps(words), flush=True)  # noqa: T201 - it is a program


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the process id; /hang never answers."""
    if scope["type"] == "lifespan":
        await receive()
        startup = OPTIONS.get("startup", "complete")
        if startup == "hang":
            await asyncio.get_running_loop().create_future()
        if startup == "exit":
            os._exit(7)
        await send({"type": f"lifespan.startup.{startup}", "message": "as told"})
        await receive()
        if OPTIONS.get("shutdown") == "hang":
            await asyncio.get_running_loop().create_future()
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/hang":
        await asyncio.get_running_loop().create_future()
    content = await read_all(receive)
    for message in plain(b"%d %b" % (os.getpid(), content)):
        await send(message)


def make(sockets: Sequence[BoundSocket] | None) -> ListeningServer:
    """The server of one process; its settings are read anew from a file if there is one."""
    settings = OPTIONS.get("settings", {})
    if "file" in OPTIONS:
        settings = settings | json.loads(Path(OPTIONS["file"]).read_text("utf-8"))
    return Server(application, OPTIONS.get("binds", ["127.0.0.1:0"]), sockets=sockets, **settings)


def main() -> int:
    """Run until told to end."""
    logging.basicConfig(level=logging.INFO)
    try:
        return run(
            make,
            lambda urls: say(urls=urls, process=os.getpid()),
            binds=OPTIONS.get("binds", ["127.0.0.1:0"]),
            workers=OPTIONS.get("workers", 1),
        )
    except Error as error:
        say(error=str(error), kind=type(error).__name__)
        return 2


if __name__ == "__main__":
    sys.exit(main())
