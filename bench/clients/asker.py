"""What every module with_*.py offers, and how its asker is called.

A module has `ASYNCHRONOUS`, and a class `Asker` that is made with the seconds for which a peer may be silent.
An asker is one client as its users make it, with its defaults, save that

* every wait for the peer has that limit, so that a hang is seen soon;
* caps on connections leave room for `CONNECTIONS` where the default is less: the lanes of bench.race must
  not wait for each other.

Errors are the client's own and are not caught there: their names are what is told.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

SILENCE_SECONDS: Final = 2.0
CONNECTIONS: Final = 100


class Answer(NamedTuple):
    """A final response whose content was read to its end; `content` is b"" where it was not."""

    status: int
    content: bytes


def name_of(error: BaseException) -> str:
    """What an error is called: its class, and of libcurl, which has one class for all, the number too."""
    name = type(error).__name__
    curl = type(error).__module__ == "pycurl" and error.args
    return f"CURLE_{error.args[0]}" if curl else name


class AskerOnLoop(Protocol):
    """A client on asyncio."""

    async def ask(self, method: str, url: str, content: bytes | None) -> Answer:
        """Ask, and read the whole response."""

    async def abandon(self, url: str) -> Answer:
        """GET the head of a response and close it without reading the content."""

    async def end(self) -> None:
        """Close the client."""


class AskerInThreads(Protocol):
    """A client whose calls block; threads call `ask` at the same time."""

    def ask(self, method: str, url: str, content: bytes | None) -> Answer:
        """Ask, and read the whole response."""

    def abandon(self, url: str) -> Answer:
        """GET the head of a response and close it without reading the content."""

    def end(self) -> None:
        """Close the client."""
