"""Steady load by others' clients and ours, and what became of each request."""

from __future__ import annotations

import asyncio
import re
import subprocess
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import perdure
from tests import peers

CONNECTIONS: Final = 32


@dataclass(slots=True)
class Posts:
    """What became of POSTs: nobody may send one twice, so what fails has failed.

    Attributes:
        answered: how many got the answer that belongs to them.
        refused: connections that were refused, for requests of which nothing was sent.
        failed: the others, in words.
    """

    answered: int = 0
    refused: int = 0
    failed: Counter[str] = field(default_factory=Counter)


async def post_steadily(url: str, until: asyncio.Event, posts: Posts, *, persist: bool = True) -> None:
    """Post from many tasks until the event, or each until it is refused.

    Unless they are to persist, each connection has one request.
    """
    async with (
        perdure.AsyncClient(max_per_origin=CONNECTIONS, persist=persist) as client,
        asyncio.TaskGroup() as group,
    ):
        for number in range(CONNECTIONS):
            group.create_task(_post(client, f"{url}/sum/{number}", until, posts))


async def _post(client: perdure.AsyncClient, url: str, until: asyncio.Event, posts: Posts) -> None:
    name = url.rpartition("/")[2].encode()
    count = 0
    while not until.is_set():
        count += 1
        content = b"%b %d" % (name, count)
        try:
            response = await client.post(url, content=content)
        except perdure.ConnectError:
            posts.refused += 1
            return
        except perdure.Error as error:
            posts.failed[f"{type(error).__name__}: {error}"] += 1
            continue
        if response.content == b"%b %d %d" % (name, len(content), zlib.crc32(content)):
            posts.answered += 1
        else:
            posts.failed[f"{response.status} {response.content[:80]!r}"] += 1


@dataclass(slots=True)
class Wrk:
    """What wrk reports. Each of its connections always has one request under way.

    wrk takes an announced close as it is meant, and opens another connection. An end that was not
    announced, in place of an answer or within one, is a read error; a connection that is refused is
    a write error, as wrk notices it when it wants to send.
    """

    requests: int
    read_errors: int
    refused: int
    other_errors: int
    not_2xx: int

    @property
    def failed(self) -> int:
        """Requests that were sent, or could have been, and not answered well."""
        return self.read_errors + self.other_errors + self.not_2xx


class RunningWrk:
    """wrk at work; `report` waits for its end."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def report(self) -> Wrk:
        """Wait for the end, and read what it says."""
        said, _ = self._process.communicate(timeout=60)
        requests = re.search(r"(\d+) requests in", said)
        assert requests is not None, said
        errors = re.search(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
        connect, read, write, late = map(int, errors.groups()) if errors else (0, 0, 0, 0)
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
        return Wrk(int(requests[1]), read, write, connect + late, int(bad[1]) if bad else 0)


@contextmanager
def wrk(url: str, seconds: int, *flags: str) -> Iterator[RunningWrk]:
    """wrk, at work from now on for so many seconds."""
    command = [
        peers.require("wrk"),
        "-t1",
        f"-c{CONNECTIONS}",
        f"-d{seconds}s",
        *flags,
        f"{url}/echo/wrk?octets=100",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield RunningWrk(process)
        finally:
            process.kill()
