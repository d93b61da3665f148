"""perdure.AsyncClient."""

from __future__ import annotations

import perdure
from bench.clients.asker import CONNECTIONS, Answer

ASYNCHRONOUS = True


class Asker:
    """One client."""

    def __init__(self, silence_seconds: float) -> None:
        self.client = perdure.AsyncClient(
            read_timeout=silence_seconds,
            write_timeout=silence_seconds,
            max_per_origin=CONNECTIONS,
            max_total=CONNECTIONS,
        )

    async def ask(self, method: str, url: str, content: bytes | None) -> Answer:
        response = await self.client.request(method, url, content=content)
        return Answer(response.status, response.content)

    async def abandon(self, url: str) -> Answer:
        async with self.client.stream("GET", url) as response:
            return Answer(response.status, b"")

    async def end(self) -> None:
        await self.client.aclose()
