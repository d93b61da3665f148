"""niquests.Session: one for all threads, and as many pools as there are lanes. HTTP/1 alone."""

from __future__ import annotations

import niquests
from niquests.adapters import HTTPAdapter

from bench.clients.asker import CONNECTIONS, Answer

ASYNCHRONOUS = False


class Asker:
    """One session."""

    def __init__(self, silence_seconds: float) -> None:
        self.silence_seconds = silence_seconds
        self.session = niquests.Session()
        adapter = HTTPAdapter(pool_connections=CONNECTIONS, pool_maxsize=CONNECTIONS)
        self.session.mount("http://", adapter)

    def ask(self, method: str, url: str, content: bytes | None) -> Answer:
        response = self.session.request(
            method, url, data=content, timeout=self.silence_seconds, allow_redirects=False
        )
        return Answer(response.status_code, response.content)

    def abandon(self, url: str) -> Answer:
        with self.session.get(url, stream=True, timeout=self.silence_seconds) as response:
            return Answer(response.status_code, b"")

    def end(self) -> None:
        self.session.close()
