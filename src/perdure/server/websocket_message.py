"""The messages that a client sends, put together from their parts.

A part is what wsproto has of a frame so far: a message may come in any number of them, empty ones
too, so that they are joined as they come instead of being kept.

RFC 6455 §5.4 (fragmentation), §10.4 (implementation-specific limits).
"""

from __future__ import annotations

import io
from collections.abc import MutableMapping
from typing import Any

from wsproto import events as frames

from perdure.core import Error


class MessageTooBig(Error):
    """A message is larger than is allowed."""


class Assembly:
    """One message under way.

    Args:
        most: octets that it may have.
    """

    __slots__ = ("_most", "_octets", "_size", "_text")

    def __init__(self, most: int) -> None:
        self._most = most
        self._octets = bytearray()
        self._text = io.StringIO()
        self._size = 0

    def add(self, part: frames.Message[Any]) -> MutableMapping[str, Any] | None:
        """Take a part.

        Returns:
            The message for the application, if this was its last part.

        Raises:
            MessageTooBig: with it the message is larger than allowed; nothing of it is kept.
        """
        data = part.data
        whole = part.message_finished and not self._size
        self._size += len(data) if not isinstance(data, str) or data.isascii() else len(data.encode())
        if self._size > self._most:
            size = self._size
            self._forget()
            raise MessageTooBig(f"a message of at least {size} octets, at most {self._most} allowed")
        if whole:
            self._size = 0
        elif isinstance(data, str):
            self._text.write(data)
            data = self._text.getvalue() if part.message_finished else ""
        else:
            self._octets += data
            data = bytes(self._octets) if part.message_finished else b""
        if not part.message_finished:
            return None
        if not whole:
            self._forget()
        kind = "text" if isinstance(data, str) else "bytes"
        return {"type": "websocket.receive", kind: bytes(data) if kind == "bytes" else data}

    def _forget(self) -> None:
        self._octets = bytearray()
        self._text = io.StringIO()
        self._size = 0
