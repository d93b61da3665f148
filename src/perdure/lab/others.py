"""Clients that are not ours, and ours, sending the same: `python -m perdure.lab.others NAME URL GAP...`

Each sends a POST, waits for a gap, sends the next, as a program does that has something to say now and then;
all with the settings that they come with. It prints how many were not answered, as one line of JSON. A
library that is not installed is status 3.
"""

from __future__ import annotations

import asyncio
import http.client
import importlib
import json
import sys
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

NOT_INSTALLED: Final = 3
TIMEOUT: Final = 10.0
"""Seconds for one request."""

Post = Callable[[str], Any]
"""Sends one POST without content, and reads the response."""


def _blocking(make: Callable[[str], Post]) -> Callable[[str, Sequence[float]], int]:
    def send(url: str, gaps: Sequence[float]) -> int:
        post = make(url)
        rest = threading.Event()
        lost = 0
        for number, gap in enumerate((*gaps, 0.0)):
            try:
                post(f"{url}{number}")
            except (
                Exception
            ):  # each library has errors of its own; every one of them is a request that is lost
                lost += 1
            rest.wait(gap)
        return lost

    return send


def _http_client(url: str) -> Post:
    """The standard library's: it is told to connect again where it failed."""
    where = urlsplit(url)
    connection = http.client.HTTPConnection(str(where.hostname), where.port, timeout=TIMEOUT)

    def post(target: str) -> None:
        try:
            connection.request("POST", urlsplit(target).path)
            connection.getresponse().read()
        except Exception:
            connection.close()
            raise

    return post


def _requests(url: str) -> Post:
    session = importlib.import_module("requests").Session()
    return lambda target: session.post(target, timeout=TIMEOUT).content


def _httpx(url: str) -> Post:
    client = importlib.import_module("httpx").Client(timeout=TIMEOUT)
    return lambda target: client.post(target).content


def _perdure(url: str) -> Post:
    client = importlib.import_module("perdure").Client(proxy=None, trust_env=False)
    return lambda target: client.post(target).content


def _aiohttp(url: str, gaps: Sequence[float]) -> int:
    aiohttp = importlib.import_module("aiohttp")

    async def send() -> int:
        lost = 0
        timeout = aiohttp.ClientTimeout(total=TIMEOUT)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            for number, gap in enumerate((*gaps, 0.0)):
                try:
                    async with session.post(f"{url}{number}") as response:
                        await response.read()
                except Exception:
                    lost += 1
                await asyncio.sleep(gap)
        return lost

    sending: Coroutine[Any, Any, int] = send()
    return asyncio.run(sending)


PROGRAMS: Final[dict[str, Callable[[str, Sequence[float]], int]]] = {
    "http.client": _blocking(_http_client),
    "requests": _blocking(_requests),
    "httpx": _blocking(_httpx),
    "aiohttp": _aiohttp,
    "perdure": _blocking(_perdure),
}


def main(arguments: Sequence[str]) -> int:
    """Run one of them.

    Args:
        arguments: the name, the URL (with a slash at its end), and the gaps in seconds.

    Returns:
        The exit status.
    """
    name, url, *gaps = arguments
    try:
        lost = PROGRAMS[name](url, [float(gap) for gap in gaps])
    except ModuleNotFoundError:
        return NOT_INSTALLED
    sys.stdout.write(json.dumps({"lost": lost}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
