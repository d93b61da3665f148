"""Clients that judge every answer: a process of its own on plain asyncio.

    python -m tests.endurance.chaos_client PORT NAME SEED CONNECTIONS REQUESTS

Prints a dot to standard error for each thousand requests, and at the end what became of all of them, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from tests.endurance.chaos_words import PREFIX_LIES, chunked, content_of, digest, upload_of

METHODS: Final = (b"GET",) * 6 + (b"POST",) * 4 + (b"PUT", b"PATCH", b"DELETE", b"HEAD")
WITH_CONTENT: Final = frozenset({b"POST", b"PUT", b"PATCH"})
OWN_STATUSES: Final = frozenset({502, 503, 504})
"""What a gateway may say in the origin's place."""
LIMIT_SECONDS: Final = 30.0
"""No answer takes longer: two seconds of silence twice, ten in the queue, and a busy machine."""
ABORTS: Final = 0.005
LEAVES: Final = 0.02
"""The share of connections that end after any answer."""
PIPELINE: Final = 4


@dataclass
class Asked:
    """One request."""

    token: bytes
    method: bytes
    octets: bytes
    upload: bytes | None


@dataclass
class Outcome:
    """What became of all requests.

    Attributes:
        answers: by what was said: "200", "502 connection_refused", "cut off", "left".
        faults: what must not happen, in words, with how often it did.
        posted: the tokens of POST and PATCH that were answered with 200.
    """

    answers: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    posted: list[str] = field(default_factory=list)
    slowest: float = 0.0
    asked: int = 0


class CutOff(Exception):
    """A response that was begun and not finished: the client knows that it is not whole."""


@dataclass
class Answer:
    """A final response, whole as far as its framing tells."""

    status: int
    fields: dict[bytes, bytes]
    content: bytes


class Client:
    """One connection after the other, from one seed."""

    def __init__(self, port: int, name: str, seed: str, outcome: Outcome) -> None:
        self._port = port
        self._name = name.encode()
        self._random = random.Random(f"{seed}/{name}")
        self._outcome = outcome
        self._count = 0
        self._old = False

    async def run(self, budget: list[int]) -> None:
        """Ask until the shared budget is spent."""
        while budget[0] > 0:
            self._old = self._random.random() < 0.1
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 20)
            try:
                while budget[0] > 0 and await self._ask(reader, writer, budget):
                    pass
            except OSError as error:  # a reset in the place of an answer
                self._fault(f"{type(error).__name__} between answers")
            finally:
                writer.close()

    def _fault(self, words: str) -> None:
        self._outcome.faults[words] += 1

    def _request(self, method: bytes) -> Asked:
        self._count += 1
        token = b"%b-%d" % (self._name, self._count)
        lines = [
            b"%b /%b HTTP/1.%d" % (method, token, 0 if self._old else 1),
            b"Host: chaos",
            b"X-Token: " + token,
        ]
        if self._old:
            lines.append(b"Connection: keep-alive")
        upload = upload_of(token) if method in WITH_CONTENT else None
        content = b""
        if upload is not None and not self._old and self._random.random() < 0.3:
            lines.append(b"Transfer-Encoding: chunked")
            content = chunked(upload, self._random.randrange(100, 5000))
        elif upload is not None:
            lines.append(b"Content-Length: %d" % len(upload))
            content = upload
        return Asked(token, method, b"\r\n".join([*lines, b"", b""]) + content, upload)

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, budget: list[int]
    ) -> bool:
        """One request, or a few at once; whether the connection goes on."""
        pipelined = not self._old and self._random.random() < 0.05
        methods = [b"GET"] * PIPELINE if pipelined else [self._random.choice(METHODS)]
        asked = [self._request(method) for method in methods]
        budget[0] -= len(asked)
        self._outcome.asked += len(asked)
        progress(self._outcome.asked, len(asked))
        writer.write(b"".join(each.octets for each in asked))
        if self._random.random() < ABORTS:
            await asyncio.sleep(self._random.random() * 0.05)
            self._outcome.answers["left"] += len(asked)
            writer.transport.abort()
            return False
        for number, each in enumerate(asked):
            if not await self._judge(reader, each):
                self._outcome.answers["not answered behind it"] += len(asked) - number - 1
                return False
        return self._random.random() >= LEAVES

    async def _judge(self, reader: asyncio.StreamReader, asked: Asked) -> bool:
        """Read and judge one answer; whether the connection goes on."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                answer = await self._read(reader, asked.method)
        except TimeoutError:
            self._fault("hangs")
            return False
        except CutOff:
            self._outcome.answers["cut off"] += 1
            return False
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            self._fault(f"no answer: {type(error).__name__}")
            return False
        finally:
            self._outcome.slowest = max(self._outcome.slowest, loop.time() - started)
        self._outcome.answers[kind_of(answer)] += 1
        if wrong := fault_of(asked, answer):
            self._fault(wrong)
            return False
        if answer.status == 200 and asked.method in (b"POST", b"PATCH"):
            self._outcome.posted.append(asked.token.decode())
        options = answer.fields.get(b"connection", b"").lower()
        return b"close" not in options and not (self._old and b"keep-alive" not in options)

    async def _read(self, reader: asyncio.StreamReader, method: bytes) -> Answer:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            start, *lines = head[:-4].split(b"\r\n")
            status = int(start.split(b" ")[1])
            if not 100 <= status < 200:
                break
            if self._old:
                raise ValueError("1xx for HTTP/1.0")
        named = [(name.lower(), value) for name, _, value in (line.partition(b": ") for line in lines)]
        fields = dict(named)
        if len(fields) != len(named):
            raise ValueError("a field twice")
        try:
            return Answer(status, fields, await self._content(reader, method, fields))
        except (asyncio.IncompleteReadError, ConnectionError):
            raise CutOff from None

    async def _content(
        self, reader: asyncio.StreamReader, method: bytes, fields: dict[bytes, bytes]
    ) -> bytes:
        if method == b"HEAD":
            return b""
        if b"transfer-encoding" in fields:
            if self._old:
                raise ValueError("chunks for HTTP/1.0")
            content = b""
            while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
                content += (await reader.readexactly(size + 2))[:-2]
            await reader.readexactly(2)
            return content
        if b"content-length" in fields:
            return await reader.readexactly(int(fields[b"content-length"]))
        return await reader.read(-1)


def kind_of(answer: Answer) -> str:
    """Such as "200", or "502 connection_refused" where the gateway says why."""
    _, _, error = answer.fields.get(b"proxy-status", b"").decode().partition("error=")
    return f"{answer.status} {error}".rstrip()


def fault_of(asked: Asked, answer: Answer) -> str:
    """What is wrong with an answer, in words; "" where nothing is."""
    if answer.status in OWN_STATUSES:
        return "" if b"proxy-status" in answer.fields else f"{answer.status} of nobody"
    if answer.status == 408:  # what the origin said to a request that may not be repeated
        return (
            ""
            if asked.method in (b"POST", b"PATCH") or b"x-token" not in answer.fields
            else "408 with a token"
        )
    if answer.status != 200:
        return f"status {answer.status}"
    if answer.fields.get(b"x-token") != asked.token:
        return f"the answer of {answer.fields.get(b'x-token')!r} for {asked.token!r}"
    expected = b"" if asked.method == b"HEAD" else content_of(asked.token)
    whole = answer.content == expected
    if not whole and not (answer.fields.get(b"x-lie") in PREFIX_LIES and expected.startswith(answer.content)):
        return "content of another request, or not whole"
    if asked.upload is not None and answer.fields.get(b"x-upload") != digest(asked.upload):
        return "content arrived changed"
    return ""


def progress(count: int, step: int) -> None:
    if count // 1000 != (count - step) // 1000:
        sys.stderr.write(".")
        sys.stderr.flush()


async def main(port: int, name: str, seed: str, connections: int, requests: int) -> Outcome:
    outcome = Outcome()
    budget = [requests]
    clients = [Client(port, f"{name}-{number}", seed, outcome) for number in range(connections)]
    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(client.run(budget))
    return outcome


if __name__ == "__main__":
    port, name, seed, connections, requests = sys.argv[1:]
    found = asyncio.run(main(int(port), name, seed, int(connections), int(requests)))
    json.dump(found.__dict__, sys.stdout)
