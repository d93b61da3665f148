"""CPU of uploading a file of 256 MiB: perdure's client with sendfile and without, and its async client.

    python bench/bench_upload.py

The receiver is another process; the figures are this process's CPU seconds, kernel included, the least of
five turns that alternate.
"""

from __future__ import annotations

import asyncio
import io
import multiprocessing
import resource
import socket
import tempfile
from collections.abc import Callable

import perdure
from perdure.wire.network import run

OCTETS = 256 << 20
TURNS = 5


def receive(listening: socket.socket) -> None:
    """Take requests one after another on each connection, and answer."""
    buffer = bytearray(1 << 20)
    while True:
        connection, _ = listening.accept()
        with connection:
            while True:
                head = b""
                while b"\r\n\r\n" not in head:
                    piece = connection.recv(65536)
                    if not piece:
                        break
                    head += piece
                else:
                    left = OCTETS - len(head.partition(b"\r\n\r\n")[2])
                    while left > 0:
                        left -= connection.recv_into(buffer)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                    continue
                break


class Unknown(io.BufferedReader):
    """A file that has to be read, because it is of an unknown kind."""


def cpu() -> float:
    """CPU seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def blocking(url: str, path: str, kind: type[io.BufferedReader]) -> None:
    """Upload with threads."""
    with perdure.Client() as client, kind(io.FileIO(path)) as file:
        assert client.put(url, content=file).status == 200


async def on_loop(url: str, path: str) -> None:
    """Upload on an event loop."""
    async with perdure.AsyncClient() as client:
        with open(path, "rb") as file:  # noqa: ASYNC230  # what is measured
            assert (await client.put(url, content=file)).status == 200


def main() -> None:
    """Measure and print."""
    listening = socket.create_server(("127.0.0.1", 0))
    receiver = multiprocessing.get_context("fork").Process(target=receive, args=(listening,), daemon=True)
    receiver.start()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
    with tempfile.NamedTemporaryFile() as file:
        file.truncate(OCTETS)
        ways: dict[str, Callable[[], None]] = {
            "blocking, sendfile": lambda: blocking(url, file.name, io.BufferedReader),
            "blocking, read": lambda: blocking(url, file.name, Unknown),
            "uvloop, read": lambda: run(on_loop(url, file.name)),
            "asyncio, read": lambda: asyncio.run(on_loop(url, file.name)),
        }
        spent: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(TURNS):
            for name, upload in ways.items():
                began = cpu()
                upload()
                spent[name].append(cpu() - began)
    receiver.terminate()
    for name, seconds in spent.items():
        print(f"{name:20} {min(seconds):.3f} s of CPU for {OCTETS >> 20} MiB")


if __name__ == "__main__":
    main()
