"""`response.raw` of requests: urllib3's own response, reading from one of ours.

All that urllib3 does above the connection stays its: `read`, `stream`, content codings, what is
asked for and not there. What is ours is where octets come from and what closing means: a response
given back unread ends its exchange, so that the connection goes to nobody else half-read.
"""

from __future__ import annotations

import io
from collections.abc import Generator, Iterator
from email.message import Message
from http.client import HTTPMessage
from types import SimpleNamespace
from typing import Any

from urllib3 import HTTPHeaderDict, HTTPResponse
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError

from perdure.client.errors import ReadTimeout
from perdure.client.sync import StreamedResponse
from perdure.core.errors import Error


class Pieces(io.RawIOBase):
    """A response of ours as a file that is read once. It is closed at its end, as http.client's is."""

    def __init__(self, response: StreamedResponse, pool: Any) -> None:
        super().__init__()
        self._response = response
        self._pieces: Iterator[bytes] = response.iter_raw()
        self._pool = pool
        self._waiting = b""

    def readable(self) -> bool:
        """True."""
        return True

    def read(self, size: int | None = -1) -> bytes:
        """So many octets, or all; fewer only at the end."""
        if size is None or size < 0:
            return b"".join(iter(self.read1, b""))
        found: list[bytes] = []
        while size > 0 and (piece := self.read1(size)):
            found.append(piece)
            size -= len(piece)
        return b"".join(found)

    def read1(self, size: int | None = -1) -> bytes:
        """What has come, at most so many octets; b"" at the end.

        Raises:
            urllib3.exceptions.HTTPError: the response broke off.
        """
        if not self._waiting:
            self._waiting = self._next()
        most = len(self._waiting) if size is None or size < 0 else size
        piece, self._waiting = self._waiting[:most], self._waiting[most:]
        return piece

    def readinto(self, buffer: Any) -> int:
        """As of `io.RawIOBase`."""
        piece = self.read1(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def _next(self) -> bytes:
        if self.closed:
            return b""
        try:
            piece = next(self._pieces, b"")
        except Error as error:
            self.close()
            raise _failure(error, self._pool, self._response.url) from error
        if not piece:
            self.close()
        return piece

    def close(self) -> None:
        """End the exchange; its connection lives on if little is left to read. Idempotent."""
        if not self.closed:
            try:
                self._response.close()
            finally:
                self._response.end_now()
        super().close()

    def __del__(self) -> None:
        """Nothing: an exchange that is forgotten ends itself, without waiting for anybody's lock."""


class Raw(HTTPResponse):
    """urllib3's response around one of ours."""

    def __init__(self, response: StreamedResponse, pool: Any, method: str, **options: Any) -> None:
        pieces = Pieces(response, pool)
        headers = HTTPHeaderDict()
        for line in response.fields:
            headers.add(line.name.decode("ascii"), line.value.decode("latin-1"))
        message = _message(response)
        super().__init__(
            body=pieces,
            headers=headers,
            status=response.status,
            version=int(response.http_version.removeprefix("HTTP/").replace(".", "")),  # as http.client
            version_string=response.http_version,
            reason=response.reason_phrase,
            preload_content=False,
            decode_content=False,
            # What cookies are taken from; `close` and `isclosed` are asked for where reading fails.
            original_response=_original(message, pieces),
            msg=message,
            request_method=method,
            request_url=response.url,
            **options,
        )
        self.perdure_connection = response.connection
        self._pieces = pieces

    def supports_chunked_reads(self) -> bool:
        """True: chunks are handed on as they come."""
        return True

    def read_chunked(
        self, amt: int | None = None, decode_content: bool | None = None
    ) -> Generator[bytes, None, None]:
        """Content as it comes, in pieces of at most `amt` octets."""
        while piece := self.read1(amt, decode_content):
            yield piece

    def release_conn(self) -> None:
        """Give the connection back: what is left unread is read and dropped if it is little."""
        self._pieces.close()

    def drain_conn(self) -> None:
        """As `release_conn`."""
        self._pieces.close()

    def __del__(self) -> None:
        """Nothing; see `Pieces`."""


def _original(message: HTTPMessage, pieces: Pieces) -> Any:
    return SimpleNamespace(msg=message, close=pieces.close, isclosed=lambda: pieces.closed)


def _message(response: StreamedResponse) -> HTTPMessage:
    message = HTTPMessage()
    for line in response.fields:
        Message.add_header(message, line.name.decode("ascii"), line.value.decode("latin-1"))
    return message


def _failure(error: Error, pool: Any, url: str) -> HTTPError:
    """urllib3's error in the place of ours."""
    if isinstance(error, ReadTimeout):
        return ReadTimeoutError(pool, url, f"Read timed out. ({error})")
    return ProtocolError(f"Connection broken: {error}", error)
