"""The connections of one origin that have owners: each owner's are apart, and all share the caps.

    shared connections of the origin ── head ──┬── member: those of one owner
                                               └── member: those of another

A member (`pool_entries.Private`) has idle connections and tickets of its own, because nobody else may use
them, and what is learned is the head's, because it is the same peer. It lives as long as it has a
connection, a dial or a ticket, so what is kept for owners is bounded by the caps and by who waits.

Where the cap of the origin is reached, the idle connection that any of its owners used least recently
makes room. Who still finds no room is *hungry*, and stands in the ledger's line once there is some.

RFC 9112 §9.4.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Iterator

from perdure.core.pool_connections import Connections
from perdure.core.pool_entries import LEASED, Entry, Handle, PoolSettings, Private
from perdure.core.pool_origin import Origin, misuse
from perdure.core.reason import Reason


class Families(Connections[Handle]):
    """What heads and members have to do with each other."""

    def __init__(self, settings: PoolSettings) -> None:
        super().__init__(settings)
        self._hungry: dict[Origin[Handle], dict[Origin[Handle], None]] = {}  # head: members, in order

    def claim(self, entry: Entry[Handle], owner: Hashable) -> Private:
        """Give a leased connection to one owner for good: what was said on it concerns no other.

        Returns:
            The key to lease it by from now on, once it is released.

        Raises:
            LocalViolation: the entry is not leased, so somebody else may get it.

        RFC 4559 §5 (authentication of a connection).
        """
        if entry.state is not LEASED:
            raise misuse(f"{entry!r} is claimed, but not leased")
        home = self._origins[entry.origin]
        if home.head is not None:  # it has an owner already
            assert isinstance(entry.origin, Private)
            return entry.origin
        key = Private(entry.origin, owner)
        member = self._open(key)
        home.entries.remove(entry)
        member.entries.add(entry)
        home.claimed += 1
        entry.origin = key
        self._starve(home)  # what it waits for is not its own any more
        return key

    def disown(self, key: Private, now: float) -> None:
        """Close what an owner leaves behind, who will not come back (OWNER_GONE).

        Leased connections end when they are released, and those that are dialled once they are there.
        """
        home = self._origins.get(key)
        if home is None:
            return
        home.disowned = True
        for entry in list(home.entries):
            if entry in home.idle:
                self._close(home, entry, Reason.OWNER_GONE)
            else:
                entry.doom = Reason.OWNER_GONE
        self._settle(home, now)

    def _refuse_family(self, head: Origin[Handle], reason: Reason, error: object) -> None:
        """Refuse whoever waits for an origin: what one owner's dial has found out holds for all."""
        for relative in list(self._family(head)):
            self._refuse_all(relative, reason, error)
            if relative.head is not None and relative.is_empty:
                self._rest(relative)

    @abstractmethod
    def _refuse_all(self, home: Origin[Handle], reason: Reason, error: object = None) -> None:
        """Refuse every ticket of an origin."""

    @abstractmethod
    def _settle(self, home: Origin[Handle], now: float) -> None:
        """Hand on what a change in one origin left."""

    @abstractmethod
    def _line_up(self, home: Origin[Handle]) -> None:
        """Let the first waiting ticket of an origin stand in line."""

    def _is_full(self, home: Origin[Handle]) -> bool:
        """Whether the origin's cap is in the way, and no other owner's connection can be closed for it."""
        return home.crowd >= self.settings.max_per_origin and self._idle_of_others(home) is None

    def _idle_of_others(self, home: Origin[Handle]) -> Entry[Handle] | None:
        """The least recently used idle connection to the same origin that is not this owner's, or None."""
        head = home.head or home
        if not head.members:
            return None
        for entry in self._idle:
            other = self._origins[entry.origin]
            if other is not home and (other.head or other) is head:
                return entry
        return None

    def _starve(self, home: Origin[Handle]) -> None:
        """Note that an owner waits for room."""
        head = home.head or home
        if head.members and home.waiting:
            self._hungry.setdefault(head, {})[home] = None

    def _feed(self, head: Origin[Handle]) -> None:
        """Let who waited longest for room stand in line, if there is some."""
        hungry = self._hungry.get(head)
        while hungry:
            member = next(iter(hungry))
            if member.waiting and self._is_full(member):
                return
            del hungry[member]
            if member.waiting:
                self._line_up(member)
                return
        self._hungry.pop(head, None)

    def _family(self, home: Origin[Handle]) -> Iterator[Origin[Handle]]:
        """All that leads to the same peer."""
        head = home.head or home
        yield head
        yield from head.members
