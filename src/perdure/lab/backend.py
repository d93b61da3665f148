"""What a stage stands on: hosts that can talk to each other, and the record of what they said.

| backend      | hosts are            | between them         | time    | handshake, slow start, repetition |
|--------------|----------------------|----------------------|---------|-----------------------------------|
| `memory`     | views of one network | arithmetic           | virtual | a round trip; none; none          |
| `namespaces` | network namespaces   | a link in user space | real    | the kernel's                      |
| `loopback`   | this machine         | relays that delay    | real    | a round trip; none; none          |
"""

from __future__ import annotations

import subprocess
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol, TypeVar

from perdure.core.errors import Error
from perdure.lab.lanes import Lane
from perdure.lab.link import Link
from perdure.wire.network import Network

T = TypeVar("T")


class CannotStage(Error):
    """A scenario cannot run on this backend; the message says why."""


class Backend(Protocol):
    """One of the three, as the stage asks it.

    Attributes:
        name: as in the table above.
        kernel_tcp: True where TCP is the kernel's from end to end, across the link.
        real_programs: True where programs that are not ours can run.
    """

    name: str
    kernel_tcp: bool
    real_programs: bool

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end on the backend's own kind of event loop."""

    async def open(self, hosts: Sequence[str], links: Sequence[Link], congestion: str) -> None:
        """Make hosts and links. Raises CannotStage."""

    async def close(self) -> None:
        """Leave nothing behind. Harmless if it was done, or never opened."""

    def network(self, host: str) -> Network:
        """Where programs of this host dial and listen."""

    def address(self, host: str) -> str:
        """The address that other hosts dial, and the host's programs listen on."""

    async def shape(self, index: int, link: Link) -> None:
        """Let the link of this index be another from now on, between the same hosts."""

    async def take(self, began_at: float) -> list[Lane]:
        """Return the connections that began since this was last called, in seconds since `began_at`."""

    def start(self, host: str, command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a program on a host; options as of `subprocess.Popen`. Raises CannotStage."""

    def waiting_connections(self, host: str) -> int | None:
        """How many connections of a host are in TIME-WAIT; None where that is not known."""
