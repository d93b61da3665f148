"""What a flow may ask of whoever runs it, and what it needs around it. See `exchange`."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from perdure.client.settings import ClientSettings
from perdure.client.urls import Origin
from perdure.core.client_connection import ClientConnection
from perdure.core.fields import HTTP_11
from perdure.core.pool import Entry
from perdure.core.reason import Reason

if TYPE_CHECKING:
    from perdure.client.exchange import Exchange

LEASE: Final = 0
PULL: Final = 1
SEND: Final = 2
SEND_LAST: Final = 3
RECEIVE: Final = 4
HEAD: Final = 5
CONTENT: Final = 6

REMEMBERED_ORIGINS: Final = 1024
"""As many as the pool's ledger remembers; of one forgotten, content is gathered first, once."""

Effect: TypeAlias = tuple[int, Any]
Flow: TypeAlias = Generator[Effect, Any, None]

PULL_MORE: Final[Effect] = (PULL, None)
HEAD_IS_HERE: Final[Effect] = (HEAD, None)


class Handle(Protocol):
    """A pooled connection, as the flow sees it."""

    connection: ClientConnection

    @property
    def truncated(self) -> bool:
        """True if TLS ended without close_notify."""

    def accepted(self) -> int:
        """Octets that may have reached the peer since the connection began."""

    def spent(self) -> bool:
        """True if the peer was seen to end it."""

    def judge_rest(self) -> None:
        """Judge octets that came behind a response while its flow was not yet over (R64)."""


class Pool(Protocol):
    """Where connections come from, as the flow sees it.

    Attributes:
        ended: told of each connection that ends, and why.
    """

    ended: Callable[[Entry[Any], Reason], None]

    def now(self) -> float:
        """Monotonic seconds."""

    def release(
        self, entry: Entry[Any], reason: Reason, hint_timeout: int | None = None, hint_max: int | None = None
    ) -> None:
        """End a lease in good order."""

    def discard(self, entry: Entry[Any], reason: Reason) -> None:
        """End a lease and the connection."""

    def discard_stale(self, entry: Entry[Any], reason: Reason) -> None:
        """End a lease whose connection was gone."""

    def discard_later(self, entry: Entry[Any], reason: Reason) -> None:
        """As `discard`, from a place that may interrupt anything: a finalizer."""


def remember(known: dict[Origin, None], origin: Origin) -> None:
    """Remember an origin; of more than REMEMBERED_ORIGINS the first seen is forgotten."""
    known[origin] = None
    if len(known) > REMEMBERED_ORIGINS:
        del known[next(iter(known))]


class Relays:
    """What was learned of relays that do not understand the keep-alive option. RFC 9112 appendix C.2.2.

    Attributes:
        suspected: origins that left a request without an answer on a connection kept by the option. They
            are not asked to keep connections any more, while they are remembered.
        cleared: origins that answered on such a connection: there they may take their time.
    """

    __slots__ = ("cleared", "suspected")

    def __init__(self) -> None:
        self.suspected: dict[Origin, None] = {}
        self.cleared: dict[Origin, None] = {}

    def suspect(self, origin: Origin) -> None:
        """Note that an origin gave no answer."""
        self.cleared.pop(origin, None)
        remember(self.suspected, origin)

    def clear(self, origin: Origin) -> None:
        """Note that an origin answered."""
        remember(self.cleared, origin)


class Shared:
    """What the exchanges of one client share.

    Attributes:
        speaks_11: origins that were lately seen to speak HTTP/1.1, to which content of unknown
            length may be sent (RFC 9112 §6.1): REMEMBERED_ORIGINS at most.
        watch: puts something around the flow of each exchange, such as what measures it; None
            for nothing, which costs nothing.
        relays: where a blind relay may stand in between.
    """

    def __init__(self, settings: ClientSettings, pool: Pool) -> None:
        self.settings = settings
        self.pool = pool
        self.speaks_11: dict[Origin, None] = {}
        self.watch: Callable[[Exchange, Flow], Flow] | None = None
        self.relays = Relays()

    def saw_version(self, origin: Origin, version: tuple[int, int]) -> None:
        """Remember whether an origin speaks HTTP/1.1; of too many the first seen is forgotten."""
        known = self.speaks_11
        if version < HTTP_11:
            known.pop(origin, None)
        elif origin not in known:
            remember(known, origin)
