"""Frames of WebSockets as literal octets, a client that says them, and applications to serve.

RFC 6455 §5.2 (base framing), §1.3 (the handshake that serves as the example).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from perdure.server.asgi import Message, Receive, Scope, Send
from perdure.wire.raw import RawPeer
from tests.server.stand import Answer, Stand, answer_from, hello

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
TOKEN = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
COMPRESSED = 0x40
MASK = b"\x37\xfa\x21\x3d"


def handshake(*lines: bytes, key: bytes = KEY, version: bytes = b"13") -> bytes:
    """The example of RFC 6455, with more field lines."""
    more = b"".join(line + b"\r\n" for line in lines)
    return (
        b"GET /chat?a=b HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Key: %b\r\nSec-WebSocket-Version: %b\r\n%b\r\n"
    ) % (key, version, more)


def frame(opcode: int, payload: bytes = b"", fin: bool = True, bits: int = 0, masked: bool = True) -> bytes:
    """One frame of a client's."""
    first = (0x80 if fin else 0) | bits | opcode
    mask_bit = 0x80 if masked else 0
    size = len(payload)
    if size < 126:
        head = bytes([first, mask_bit | size])
    elif size < 65536:
        head = bytes([first, mask_bit | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([first, mask_bit | 127]) + size.to_bytes(8, "big")
    if not masked:
        return head + payload
    key = (MASK * (size // 4 + 1))[:size]
    mixed = int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")
    return head + MASK + mixed.to_bytes(size, "big")


def close_frame(code: int, reason: bytes = b"") -> bytes:
    """A client's close frame."""
    return frame(CLOSE, code.to_bytes(2, "big") + reason)


class Frame(NamedTuple):
    """A frame of the server's; it is whole and not masked."""

    opcode: int
    payload: bytes
    bits: int = 0


async def frame_from(peer: RawPeer) -> Frame:
    """Read one frame."""
    first, size = await peer.receive_exactly(2)
    assert first & 0x80, "the server fragments nothing"
    assert not size & 0x80, "a server masks nothing"
    if size == 126:
        size = int.from_bytes(await peer.receive_exactly(2), "big")
    elif size == 127:
        size = int.from_bytes(await peer.receive_exactly(8), "big")
    return Frame(first & 0xF, await peer.receive_exactly(size), first & 0x70)


async def closing_from(peer: RawPeer) -> tuple[int, bytes]:
    """Read a close frame: (code, reason), code 1005 where it says none."""
    got = await frame_from(peer)
    assert got.opcode == CLOSE, got
    return (int.from_bytes(got.payload[:2], "big") or 1005), got.payload[2:]


async def join(stand: Stand, *lines: bytes) -> tuple[RawPeer, Answer]:
    """Open a WebSocket."""
    peer = await stand.dial()
    peer.send(handshake(*lines))
    answer = await answer_from(peer)
    assert answer.status == 101, answer
    return peer, answer


class Sockets:
    """An application on WebSockets that keeps what it hears, and how its script ended.

    Args:
        script: what it does with each WebSocket.
    """

    def __init__(self, script: Callable[[Receive, Send], Coroutine[Any, Any, None]]) -> None:
        self.script = script
        self.scopes: list[Scope] = []
        self.heard: list[Message] = []
        self.errors: list[BaseException] = []
        self.done = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the script; a plain request is answered, so that a test sees the connection persist."""
        if scope["type"] == "http":
            await hello(scope, receive, send)
            return
        if scope["type"] != "websocket":
            raise NotImplementedError
        self.scopes.append(scope)

        async def listen() -> Message:
            self.heard.append(await receive())
            return self.heard[-1]

        try:
            await self.script(listen, send)
        except BaseException as error:
            self.errors.append(error)
            raise
        finally:
            self.done.set()


async def accepting(receive: Receive, send: Send) -> None:
    """Accept, and listen until the end."""
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def echoing(receive: Receive, send: Send) -> None:
    """Accept, and send back what comes."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


def gone(code: int, reason: str = "") -> Message:
    """The disconnect that an application hears."""
    return {"type": "websocket.disconnect", "code": code, "reason": reason}
