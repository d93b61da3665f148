"""aiohttp.ClientSession."""

from __future__ import annotations

import aiohttp

from bench.clients.asker import Answer

ASYNCHRONOUS = True


class Asker:
    """One session."""

    def __init__(self, silence_seconds: float) -> None:
        self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(sock_read=silence_seconds))

    async def ask(self, method: str, url: str, content: bytes | None) -> Answer:
        async with self.session.request(method, url, data=content) as response:
            return Answer(response.status, await response.read())

    async def abandon(self, url: str) -> Answer:
        async with self.session.get(url) as response:
            return Answer(response.status, b"")

    async def end(self) -> None:
        await self.session.close()
