"""The idle connections of a pool of threads: watched while nobody uses them, looked at before a lease.

The watch has a thread of its own, and TLS is not to be used by two at once: a connection is taken
from the watch before it is looked at. Everything here is called with the pool's lock held.

RFC 9112 §9.2, §9.5.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TypeAlias

from perdure.client.blocking_handle import BlockingHandle
from perdure.core.pool import Action, Entry, Ledger
from perdure.core.reason import Reason
from perdure.wire.blocking import StreamWire
from perdure.wire.idle import IdleWatch

Handled: TypeAlias = Entry[BlockingHandle]
Actions: TypeAlias = Sequence[Action[BlockingHandle]]


class IdleConnections:
    """Those of one ledger."""

    def __init__(
        self, ledger: Ledger[BlockingHandle], watch: IdleWatch, spent: Callable[[StreamWire], None]
    ) -> None:
        """Args: spent: what the watch calls, in its own thread, when it finds something on a wire."""
        self._ledger = ledger
        self._watch = watch
        self._spent = spent

    def watch(self, entry: Handled) -> None:
        """Watch a connection that has just become idle."""
        self._watch.watch(entry.handle.wire, self._spent)

    def watch_all(self, origin: Hashable) -> None:
        """Watch those of an origin: one that was granted to a ticket may have been laid back as idle."""
        for entry in self._ledger.idle_entries(origin):
            self.watch(entry)

    def unwatch(self, entry: Handled) -> None:
        """Watch a connection no longer: it is used or closed from now on."""
        self._watch.unwatch(entry.handle.wire)

    def look_at(self, entry: Handled, now: float) -> bool:
        """Close a connection that the peer has ended; True if it had."""
        self.unwatch(entry)
        reason = entry.handle.why_readable(now)
        if reason is None:
            self.watch(entry)
            return False
        if reason is Reason.SURPLUS_OCTETS:
            self._ledger.discard(entry, reason, now)
        else:
            self._ledger.peer_closed(entry, now, reason)
        return True

    def look_at_witnesses(self, origin: Hashable, now: float) -> None:
        """Before a lease that is not repeatable: see whether those live that it relies on.

        Where one does not, another takes its place, and is looked at. The rest is left to the watch:
        to poll them all cost a sixth of a POST where eight lie idle.
        """
        while any([self.look_at(entry, now) for entry in self._ledger.witnesses(origin)]):
            pass
