"""httpx2.AsyncClient. Idle connections expire after 5 s, which is its default."""

from __future__ import annotations

import httpx2

from bench.clients.asker import CONNECTIONS, Answer

ASYNCHRONOUS = True


class Asker:
    """One client."""

    def __init__(self, silence_seconds: float) -> None:
        limits = httpx2.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
        self.client = httpx2.AsyncClient(timeout=silence_seconds, limits=limits)

    async def ask(self, method: str, url: str, content: bytes | None) -> Answer:
        response = await self.client.request(method, url, content=content)
        return Answer(response.status_code, response.content)

    async def abandon(self, url: str) -> Answer:
        async with self.client.stream("GET", url) as response:
            return Answer(response.status_code, b"")

    async def end(self) -> None:
        await self.client.aclose()
