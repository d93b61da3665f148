"""One question, put to one proxy: what is said to it, and what became of it on both sides."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from bench.matrix.origin import Heard, Origin
from bench.servers.raw import Answer, Conversation, conversation

SETTLE_SECONDS = 0.15
"""What was said is in the peer's kernel at once; a turn of its loop may follow."""


class Asking:
    """See the module.

    Attributes:
        name: of the row; every path begins with it, so that several rows can share a proxy.
        port: where the proxy listens on 127.0.0.1.
        forward: whether it is a forward proxy, and asked in absolute-form.
        stop: asks the proxy to end, as its operator does; nothing where it is shared.
    """

    def __init__(
        self,
        name: str,
        port: int,
        origin: Origin,
        forward: bool,
        stop: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.port = port
        self.origin = origin
        self.forward = forward
        self.stop = stop

    def path(self, number: int | str = 1) -> str:
        """Such as /nominated/1."""
        return f"/{self.name}/{number}"

    def target(self, number: int | str = 1) -> str:
        """As it stands in a request line to this proxy."""
        return f"http://{self.authority}{self.path(number)}" if self.forward else self.path(number)

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self.origin.port}"

    def request(
        self,
        number: int | str = 1,
        *lines: str,
        method: str = "GET",
        version: str = "1.1",
        content: bytes = b"",
        host: str | None = None,
        target: str | None = None,
    ) -> bytes:
        """A request as octets; nothing is added to it but its Host line; host="" leaves that out."""
        named = [] if host == "" else [f"Host: {self.authority if host is None else host}"]
        start = f"{method} {self.target(number) if target is None else target} HTTP/{version}"
        head = "\r\n".join([start, *named, *lines])
        return head.encode("latin-1") + b"\r\n\r\n" + content

    def post(self, content: bytes, *lines: str, number: int | str = 1, method: str = "POST") -> bytes:
        """A request with the length of its content."""
        length = f"Content-Length: {len(content)}"
        return self.request(number, length, *lines, method=method, content=content)

    @contextlib.contextmanager
    def talk(self) -> Iterator[Conversation]:
        """A connection to the proxy."""
        with conversation(self.port) as talk:
            yield talk

    def once(self, octets: bytes, method: str = "GET") -> Answer:
        """The answer to a request on a connection of its own."""
        with self.talk() as talk:
            talk.send(octets)
            return talk.answer(method)

    def heard(self, number: int | str = 1) -> list[Heard]:
        """What the origin heard of one of the question's requests."""
        return self.origin.of(self.path(number))

    def others(self) -> list[str]:
        """Requests that the origin heard and that nobody asked for in so many words."""
        known = f"/{self.name}/"
        return [heard.head.split("\r\n")[0] for heard in self.origin.heard if known not in heard.target]
