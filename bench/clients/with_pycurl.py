"""pycurl: a handle for each thread, since libcurl's are not shared; each keeps its own connections."""

from __future__ import annotations

import io
import threading

import pycurl

from bench.clients.asker import Answer

ASYNCHRONOUS = False


class Asker:
    """Handles by thread."""

    def __init__(self, silence_seconds: float) -> None:
        self.silence_seconds = silence_seconds
        self.own = threading.local()
        self.handles: list[pycurl.Curl] = []

    def _handle(self) -> pycurl.Curl:
        handle = getattr(self.own, "handle", None)
        if handle is None:
            handle = self.own.handle = pycurl.Curl()
            self.handles.append(handle)
        handle.reset()  # forgets options, keeps connections
        # Slower than an octet per second for so long is silence; libcurl has no timeout for one read.
        handle.setopt(pycurl.LOW_SPEED_LIMIT, 1)
        handle.setopt(pycurl.LOW_SPEED_TIME, max(1, int(self.silence_seconds)))
        return handle

    def ask(self, method: str, url: str, content: bytes | None) -> Answer:
        handle = self._handle()
        gathered = io.BytesIO()
        handle.setopt(pycurl.URL, url)
        handle.setopt(pycurl.WRITEDATA, gathered)
        if method == "HEAD":
            handle.setopt(pycurl.NOBODY, 1)
        elif content is not None:
            handle.setopt(pycurl.POST, 1)
            handle.setopt(pycurl.POSTFIELDS, content)
            handle.setopt(pycurl.CUSTOMREQUEST, method)
        elif method != "GET":
            handle.setopt(pycurl.CUSTOMREQUEST, method)
        handle.perform()
        return Answer(handle.getinfo(pycurl.RESPONSE_CODE), gathered.getvalue())

    def abandon(self, url: str) -> Answer:
        handle = self._handle()
        handle.setopt(pycurl.URL, url)
        handle.setopt(pycurl.WRITEFUNCTION, lambda octets: 0)  # which ends the transfer
        try:
            handle.perform()
        except pycurl.error as error:
            if error.args[0] != pycurl.E_WRITE_ERROR:
                raise
        return Answer(handle.getinfo(pycurl.RESPONSE_CODE), b"")

    def end(self) -> None:
        for handle in self.handles:
            handle.close()
