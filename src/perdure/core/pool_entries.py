"""What the ledger of the pool is made of: settings, connections, tickets, answers, actions.

An `Entry` is one connection, a `Ticket` is one request that has none yet. `Use`, `Dial` and
`Wait` are the answers to a lease; `Grant`, `Dial`, `Refuse` and `Close` are the actions that
the driver carries out once it has let go of its lock. Nothing here decides anything; see
`pool` for the rules and `learning` for what is remembered of an origin.

RFC 9112 §9 (connection management).
"""

from __future__ import annotations

import enum
import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Final, Generic, Literal, NamedTuple, TypeAlias, TypeVar

from perdure.core.reason import Reason

Handle = TypeVar("Handle")
"""The driver's own connection: the ledger keeps it and never touches it."""


Reuse: TypeAlias = Literal["never", "safe", "aggressive", "always"]
"""What a request may use that may not be repeated; see `pool_reuse`."""


class Private(NamedTuple):
    """The key of connections that one owner alone may use, such as one client of an intermediary.

    They share the caps of their origin, and what is learned of it, with all others; nothing else.
    """

    origin: Hashable
    """The key of what they lead to."""
    owner: Hashable
    """Whom they belong to; 0 where the preamble alone parts them."""
    preamble: bytes = b""
    """Octets that go ahead of the first request, such as a PROXY header: they say whose a connection is."""

    def __str__(self) -> str:
        return str(self.origin)


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """How many connections are kept, and how long. Times in seconds."""

    max_per_origin: int = 8
    """Connections to one origin, idle ones and dials under way included. Chromium 6."""
    max_total: int = 100
    """Connections altogether, idle ones and dials under way included. aiohttp 100."""
    idle_timeout: float = 55.0
    """The longest a connection lies idle: below the common 60 of servers and balancers."""
    unlearned_idle_timeout: float | None = None
    """The same while the origin has neither hinted nor shown a limit; None: `idle_timeout`."""
    max_age: float | None = 600.0
    """The age at which a connection is retired once its exchange is over; None: never."""
    age_jitter: float = 0.1
    """The fraction by which `max_age` is spread either way, so that no herd redials at once."""
    age_phase: float = 0.0
    """In [0, 1): shifts the spread; a driver draws it once per pool, to part its processes."""
    max_requests: int | None = None
    """Requests on one connection; None: any number."""
    dial_rest: float = 0.0
    """After a failed dial nobody dials the origin for so long, doubling with each failure; 0: no rest."""
    max_waiting: int | None = None
    """Requests to one origin that wait because of a cap; more are refused at once. None: any number."""
    reuse: Reuse = "aggressive"
    """What a request may use that may not be repeated: see `pool_reuse`."""
    order: Literal["lifo", "spread"] = "lifo"
    """"lifo" lets surplus connections lie until they expire; "spread" takes the longest idle
    one, needs `max_age`, and is for origins behind a balancer (coredns #7903)."""

    def __post_init__(self) -> None:
        if self.max_per_origin < 1 or self.max_total < 1:
            raise ValueError(f"caps are {self.max_per_origin} and {self.max_total}, at least 1 expected")
        if self.order == "spread" and self.max_age is None:
            raise ValueError('order is "spread" without max_age: a surplus connection would never end')


@enum.unique
class EntryState(enum.Enum):
    """Where a connection is.

    dialled ──▶ IDLE ◀──release── LEASED        any ──▶ CLOSED, once, with one `Close`
                 ├──lease──▶ LEASED
                 └──grant──▶ GRANTED ──take──▶ LEASED      GRANTED ──cancel──▶ IDLE
    """

    IDLE = "idle"
    GRANTED = "granted"
    """Reserved for a ticket that has not taken it yet; as idle as before to the server."""
    LEASED = "leased"
    CLOSED = "closed"


@enum.unique
class TicketState(enum.Enum):
    """Where a request without a connection is."""

    WAITING = "waiting"
    GRANTED = "granted"
    """A connection is reserved: call `Ledger.take`."""
    TAKEN = "taken"
    REFUSED = "refused"
    CANCELLED = "cancelled"


@enum.unique
class Need(enum.Enum):
    """Which connections a request may use."""

    ANY = "any"
    """Any within its limits: the request may be repeated should the connection be stale."""
    PROVEN = "proven"
    """Only one idle well below what this origin's connections are proven to survive."""
    FRESH = "fresh"
    """Only one that was just dialled: the request was already repeated once."""


# Looking a member up in its class costs 0.16 µs on CPython 3.11, a name of the module 0.02 µs;
# a lease and its release need eight (measured: 3.2 to 4.1 µs before, 2.1 to 2.6 µs after).
IDLE: Final = EntryState.IDLE
GRANTED: Final = EntryState.GRANTED
LEASED: Final = EntryState.LEASED
CLOSED: Final = EntryState.CLOSED
ANY: Final = Need.ANY
PROVEN: Final = Need.PROVEN
FRESH: Final = Need.FRESH


class Ticket:
    """One request that waits for a connection. Compared and hashed by identity.

    Attributes:
        number: rises with every ticket of the ledger: the order of service.
        origin: the key it was leased for.
        need: which connections it may use.
        state: `TicketState`.
        dials: how many `Dial`s were handed out for it and not yet answered; seldom more than one.
        reason: why it was refused, or why its dial failed; None otherwise.
        error: the driver's own, of the dial that failed; several tickets may be refused for one.
    """

    __slots__ = ("dials", "error", "need", "number", "origin", "reason", "state")

    def __init__(self, number: int, origin: Hashable, need: Need) -> None:
        self.number = number
        self.origin = origin
        self.need = need
        self.state = TicketState.WAITING
        self.dials = 0
        self.reason: Reason | None = None
        self.error: object = None

    def __repr__(self) -> str:
        return f"<Ticket {self.number} {self.state.value} {self.origin!r}>"


class Entry(Generic[Handle]):
    """One connection in the ledger. Compared and hashed by identity; read it, never write it.

    Attributes:
        number: rises with every connection of the ledger, from 1: the number in the story.
        origin: the key it was dialled for.
        handle: the driver's own connection.
        address: what it was dialled to, or None: see `Ledger.resolved`.
        absent_since: when the address was first missing from what the name resolves to; else infinite.
        state: `EntryState`.
        dialled_at: seconds, the clock of `now`.
        uses: requests it was leased for, the current one included.
        reused: it lay idle before the current request, used or not, so that the peer may have
            closed it meanwhile: what `retry.may_retry` asks. False straight from the dial.
        idle_seconds: how long it lay idle before the current request.
        idle_since: when it last became idle.
        idle_deadline: when it must not be idle any more, and `deadline_reason` why.
        rtt: the latest round-trip time told by the driver, 0.0 while unknown.
        hint_timeout, hint_max: the peer's latest Keep-Alive hints, counted down; None without.
        doom: the Reason it ends with as soon as it is not leased; None for most.
        ended: the Reason it was closed with; None while it lives.
    """

    __slots__ = (
        "absent_since", "address", "age_deadline", "deadline_reason", "dialled_at", "doom", "ended", "handle",
        "hint_max", "hint_timeout", "idle_deadline", "idle_seconds", "idle_since", "number", "origin",
        "reused", "rtt", "scheduled", "state", "ticket", "uses",
    )  # fmt: skip

    def __init__(self, number: int, origin: Hashable, handle: Handle, now: float) -> None:
        self.number = number
        self.origin = origin
        self.handle = handle
        self.address: Hashable = None
        self.state: EntryState = LEASED
        self.dialled_at = now
        self.age_deadline = math.inf
        self.uses = 0
        self.reused = False
        self.idle_seconds = 0.0
        self.idle_since = now
        self.absent_since = math.inf
        self.idle_deadline = math.inf
        self.deadline_reason = Reason.IDLE_LIMIT
        self.scheduled = math.inf
        self.rtt = 0.0
        self.hint_timeout: int | None = None
        self.hint_max: int | None = None
        self.ticket: Ticket | None = None
        self.doom: Reason | None = None
        self.ended: Reason | None = None

    def __repr__(self) -> str:
        return f"<Entry {self.number} {self.state.value} {self.origin!r} uses={self.uses}>"


class Use(Generic[Handle]):
    """Answer to a lease: this connection is yours until you release or discard it."""

    __slots__ = ("entry",)

    def __init__(self, entry: Entry[Handle]) -> None:
        self.entry = entry


class _TicketAction:
    __slots__ = ("ticket",)

    def __init__(self, ticket: Ticket) -> None:
        self.ticket = ticket

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.ticket!r})"


class Dial(_TicketAction):
    """Answer or action: dial a connection to `ticket.origin`, then `dialled` or `dial_failed`."""

    __slots__ = ()


class Wait(_TicketAction):
    """Answer to a lease: a `Grant`, `Dial` or `Refuse` for the ticket comes among the actions."""

    __slots__ = ()


class Grant(_TicketAction):
    """Action: a connection is reserved for the ticket; wake its waiter, which calls `take`."""

    __slots__ = ()


class Refuse(_TicketAction):
    """Action: the ticket gets nothing, see `ticket.reason`; wake its waiter with an error."""

    __slots__ = ()


class Close(Generic[Handle]):
    """Action: close `entry.handle` for `reason`. Comes once for every connection there ever was."""

    __slots__ = ("entry", "reason")

    def __init__(self, entry: Entry[Handle], reason: Reason) -> None:
        self.entry = entry
        self.reason = reason

    def __repr__(self) -> str:
        return f"Close({self.entry!r}, {self.reason.name})"


Answer: TypeAlias = Use[Handle] | Dial | Wait
Action: TypeAlias = Grant | Dial | Refuse | Close[Handle]


@dataclass(frozen=True, slots=True)
class Statistics:
    """What the ledger holds and has seen, at one moment.

    connections == idle + leased; a granted connection counts as leased. requests counts
    hand-outs; reused those of them on a connection that was used or idle before.
    """

    connections: int
    idle: int
    leased: int
    dialling: int
    waiting: int
    requests: int
    reused: int
    dialled: int
    closes: Mapping[Reason, int]
    learned: Mapping[Hashable, float]
    """Seconds a connection of the origin may lie idle, from closes of the server; absent: unknown."""
    proven: Mapping[Hashable, float]
    """Seconds a connection of the origin was recently seen to survive idle; absent: none."""
