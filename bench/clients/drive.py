"""What runs in a client's process: `python -m bench.clients.drive bench.clients.with_aiohttp`.

Commands come on standard input, one JSON object a line, and each is answered by one on standard output:

    {"do": "begin", "silence": seconds}               a client is made
    {"do": "ask", "method": …, "url": …, "octets": n}  {"status", "content", …} or {"error", …}
    {"do": "abandon", "url": …}                       the same, nothing read beyond the head
    {"do": "lanes", "lanes": [{…}]}                   as of bench.clients.lanes
    {"do": "end"}                                     the client is closed

Between commands an event loop goes on turning and a blocking client does nothing, as in a program that is
busy with other things.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import time
from collections.abc import Iterator
from typing import Any, Final

from bench.clients import lanes
from bench.clients.asker import Answer, AskerInThreads, AskerOnLoop, name_of
from bench.clients.standstill import Standstill

PATIENCE_SECONDS: Final = 60.0
"""For one request on an event loop, all in all: whatever goes wrong, a run comes to its end."""
CONTENT_SHOWN: Final = 100


def content_of(command: dict[str, Any]) -> bytes | None:
    octets = command.get("octets")
    return None if octets is None else b"c" * octets


def lanes_of(command: dict[str, Any]) -> list[lanes.Lane]:
    return [lanes.Lane(**lane) for lane in command["lanes"]]


def report(answer: Answer | BaseException, began: float) -> dict[str, Any]:
    seconds = time.monotonic() - began
    if isinstance(answer, BaseException):
        return {"error": name_of(answer), "text": str(answer)[:200], "seconds": seconds}
    shown = answer.content[:CONTENT_SHOWN].decode("latin-1")
    return {"status": answer.status, "content": shown, "length": len(answer.content), "seconds": seconds}


def say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


async def serve_on_loop(module: Any) -> None:
    loop = asyncio.get_running_loop()
    asker: AskerOnLoop | None = None
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        command = json.loads(line)
        kind = command["do"]
        if kind == "begin":
            asker = module.Asker(command["silence"])
            say({})
            continue
        assert asker is not None
        if kind == "end":
            await asker.end()
            say({})
        elif kind == "lanes":
            with Standstill() as standstill:
                told = await lanes.run_on_loop(asker, lanes_of(command))
            say({"methods": told, "stood_still": standstill.longest})
        else:
            began = time.monotonic()
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    if kind == "abandon":
                        answer = await asker.abandon(command["url"])
                    else:
                        answer = await asker.ask(command["method"], command["url"], content_of(command))
            except Exception as error:
                say(report(error, began))
            else:
                say(report(answer, began))


def commands() -> Iterator[dict[str, Any]]:
    return (json.loads(line) for line in iter(sys.stdin.readline, ""))


def serve_in_threads(module: Any) -> None:
    asker: AskerInThreads | None = None
    for command in commands():
        kind = command["do"]
        if kind == "begin":
            asker = module.Asker(command["silence"])
            say({})
            continue
        assert asker is not None
        if kind == "end":
            asker.end()
            say({})
        elif kind == "lanes":
            with Standstill() as standstill:
                told = lanes.run_in_threads(asker, lanes_of(command))
            say({"methods": told, "stood_still": standstill.longest})
        else:
            began = time.monotonic()
            try:
                if kind == "abandon":
                    answer = asker.abandon(command["url"])
                else:
                    answer = asker.ask(command["method"], command["url"], content_of(command))
            except Exception as error:
                say(report(error, began))
            else:
                say(report(answer, began))


def main() -> None:
    module = importlib.import_module(sys.argv[1])
    if not module.ASYNCHRONOUS:
        serve_in_threads(module)
        return
    asyncio.run(serve_on_loop(module))


if __name__ == "__main__":
    main()
