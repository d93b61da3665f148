"""perdure.Client: one for all threads."""

from __future__ import annotations

import perdure
from bench.clients.asker import CONNECTIONS, Answer

ASYNCHRONOUS = False


class Asker:
    """One client."""

    def __init__(self, silence_seconds: float) -> None:
        self.client = perdure.Client(
            read_timeout=silence_seconds,
            write_timeout=silence_seconds,
            max_per_origin=CONNECTIONS,
            max_total=CONNECTIONS,
        )

    def ask(self, method: str, url: str, content: bytes | None) -> Answer:
        response = self.client.request(method, url, content=content)
        return Answer(response.status, response.content)

    def abandon(self, url: str) -> Answer:
        with self.client.stream("GET", url) as response:
            return Answer(response.status, b"")

    def end(self) -> None:
        self.client.close()
