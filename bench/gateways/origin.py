"""What the gateways ask: the same small answer to every request, others in turn, or so many octets.

python -m bench.gateways.origin small PORT
python -m bench.gateways.origin various PORT     5,000 small answers in turn, whose heads all differ
python -m bench.gateways.origin large PORT       GET /1073741824: so many octets, by sendfile(2)
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading

from perdure.wire.network import run

RESPONSE = (
    b"HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nServer: origin\r\n"
    b'Content-Type: text/plain\r\nETag: "5f3e"\r\nCache-Control: max-age=60\r\n'
    b"Content-Length: 100\r\n\r\n" + b"x" * 100
)
VARIOUS = [
    b"HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:%02d:%02d GMT\r\nServer: origin\r\n"
    b'Content-Type: text/plain\r\nETag: "%x-%x"\r\nCache-Control: max-age=60\r\n'
    b"Content-Length: %d\r\n\r\n"
    % (number // 60 % 60, number % 60, number, 5000 - number, 100 + number % 50)
    + b"x" * (100 + number % 50)
    for number in range(5000)
]
PIECE = 1 << 24
"""Octets of the file that a large answer repeats."""


class Small(asyncio.Protocol):
    """Answers every head with the same octets."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note where to write."""
        self.transport = transport

    def data_received(self, octets: bytes) -> None:
        """Answer each head; nobody sends content, or half a head."""
        count = octets.count(b"\r\n\r\n")
        if count:
            self.transport.write(RESPONSE * count)  # type: ignore[attr-defined]  # asyncio's own type


class Various(Small):
    """Answers every head with the next of many answers."""

    count = 0

    def data_received(self, octets: bytes) -> None:
        """Answer each head."""
        for _ in range(octets.count(b"\r\n\r\n")):
            Various.count += 1
            self.transport.write(VARIOUS[Various.count % len(VARIOUS)])  # type: ignore[attr-defined]


async def serve(kind: type[Small], port: int) -> None:
    """Answer until the process is ended."""
    server = await asyncio.get_running_loop().create_server(kind, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


def serve_large(port: int) -> None:
    """Answer until the process is ended, each connection in a thread."""
    file = os.memfd_create("piece")
    os.write(file, b"x" * PIECE)
    with socket.create_server(("127.0.0.1", port)) as listener:
        while True:
            peer, _ = listener.accept()
            threading.Thread(target=answer_large, args=(peer, file), daemon=True).start()


def answer_large(peer: socket.socket, file: int) -> None:
    """Answer the requests of one connection."""
    with peer:
        while True:
            head = b""
            while b"\r\n\r\n" not in head:
                octets = peer.recv(65536)
                if not octets:
                    return
                head += octets
            target = head.split(b" ", 2)[1]
            left = int(target[1:]) if target[1:].isdigit() else 0
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % left)
            while left:
                left -= os.sendfile(peer.fileno(), file, 0, min(left, PIECE))


if __name__ == "__main__":
    if sys.argv[1] == "large":
        serve_large(int(sys.argv[2]))
    else:
        run(serve(Various if sys.argv[1] == "various" else Small, int(sys.argv[2])))
