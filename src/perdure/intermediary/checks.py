"""Asking an origin from time to time whether it is well.

    WAITING ──interval──▶ SEEKING ──a connection──▶ ASKED ──a whole response──▶ WAITING
                             └──refused─────────────────┴──broken, too late──────▲

A check is a GET over a connection of the pool that requests use, so it says what a request would meet, dials
only if nobody has, and shows how long connections may lie idle. It is no request of a client and is not
counted as one. That all connections are busy says nothing of an origin's health, and a connection that went
stale is no fault either: then the check is made once more over a fresh one.

RFC 9110 §9.2.1 (a safe method), RFC 9112 §9.3.1.
"""

from __future__ import annotations

import logging
import math
import random
from typing import Final

from perdure.client.errors import ExchangeError
from perdure.client.lease import Lease
from perdure.core import (
    HTTP_11,
    Data,
    EndOfMessage,
    Event,
    LocalViolation,
    Reason,
    Request,
    Response,
    State,
    make_line,
)
from perdure.core.keepalive import NO_HINTS, Hints, parse
from perdure.core.pool import Entry
from perdure.core.retry import reason_of_end
from perdure.intermediary.health import HealthSettings
from perdure.intermediary.origins import OriginServer
from perdure.intermediary.outbound import OriginWire
from perdure.intermediary.remembered import RememberedResponse

logger = logging.getLogger("perdure.gateway")

JITTER: Final = 0.1
"""Of the interval, either way: checks of many gateways and origins do not come together."""
FIRST_BAD_STATUS: Final = 400
SAYS_NOTHING: Final = frozenset({Reason.PRESSURE, Reason.POOL_CLOSED, Reason.CANCELLED})
"""Why there is no connection, though nothing is wrong with the origin."""
STALE: Final = frozenset({Reason.PEER_CLOSED, Reason.PEER_RESET, Reason.IDLE_408})


class Check:
    """The checks of one origin, one after the other; the loop's sweep calls it.

    It stands where an exchange stands for a connection (`outbound.Asker`).

    Attributes:
        deadline: when the next one begins, or the one under way is too late.
        answered: an octet of the response has arrived.
    """

    __slots__ = (
        "_lease", "_origin", "_repeated", "_request", "_response", "_seeking", "_settings", "_wire",
        "answered", "deadline",
    )  # fmt: skip

    def __init__(self, origin: OriginServer, settings: HealthSettings, agent: bytes, now: float) -> None:
        """Ask nothing yet.

        Args:
            agent: our name in User-Agent.
            now: monotonic seconds; the first check comes at some moment of the first interval.
        """
        host = settings.health_host.encode() if settings.health_host is not None else origin.authority
        lines = [make_line(b"Host", host), make_line(b"User-Agent", agent)]
        self._origin = origin
        self._settings = settings
        self._request = Request(b"GET", (settings.health_path or "/").encode(), lines, HTTP_11)
        self._lease: Lease | None = None
        self._wire: OriginWire | None = None
        self._seeking = self._repeated = self.answered = False
        self._response: Response | None = None
        self.deadline = now + random.random() * settings.health_interval

    # What the sweep calls, and who ends it.

    def deadline_reached(self, now: float) -> None:
        """Begin a check, or give up the one under way."""
        if self._seeking or self._wire is not None:
            all_busy = self._lease is not None and not self._lease.ticket.dials
            self.stop()
            if all_busy:
                self._wait(now)
            else:
                self._over(now, f"no answer within {self._settings.health_timeout:g} s")
            return
        self._repeated = False
        self.deadline = now + self._settings.health_timeout
        self._seek(False)

    def stop(self) -> None:
        """Give up whatever is under way; nothing is learned from it."""
        self._seeking = False
        if self._lease is not None:
            self._origin.pool.cancel(self._lease)
            self._lease = None
        if self._wire is not None:
            self._origin.pool.discard(self._detach().entry, Reason.ABANDONED)

    # The connection.

    def _seek(self, fresh: bool) -> None:
        self._seeking = True
        lease = self._origin.pool.lease(self._origin.house_key, True, self._connected, self._refused, fresh)
        if lease is not None:
            self._lease = lease

    def _connected(self, entry: Entry[OriginWire]) -> None:
        self._seeking, self._lease = False, None
        wire = self._wire = entry.handle
        wire.exchange = self
        self.answered = False
        if wire.spent() or not wire.protocol.persists:
            self.origin_failed(Reason.PEER_CLOSED)
            return
        try:
            wire.write(wire.protocol.send_whole(self._request))
        except LocalViolation as violation:
            self.origin_failed(Reason.LOCAL_FAULT, str(violation))

    def _refused(self, error: ExchangeError) -> None:
        self._seeking, self._lease = False, None
        now = self._origin.pool.now()
        if error.reason in SAYS_NOTHING:
            self._wait(now)
        else:
            self._over(now, str(error))

    # What the connection calls.

    def origin_sent(self, events: list[Event]) -> None:
        """Read on until the response is whole; its content is not looked at."""
        for event in events:
            if isinstance(event, Response):
                if event.end:
                    self._whole(event)
                    return
                self._response = event
            elif isinstance(event, EndOfMessage) or (isinstance(event, Data) and event.end):
                assert self._response is not None
                self._whole(self._response)
                return

    def said_again(
        self, remembered: RememberedResponse, said: Response, hints: Hints, content: bytes
    ) -> None:
        """The same as a response of which all has come."""
        wire, pool = self._detach(), self._origin.pool
        pool.release(wire.entry, wire.protocol.reason or Reason.PEER_CLOSED, hints.timeout, hints.maximum)
        self._judge(said)

    def origin_failed(self, reason: Reason, details: str = "") -> None:
        """The connection broke."""
        entry = self._detach().entry
        stale = reason in STALE and entry.reused and not self.answered
        pool = self._origin.pool
        if stale:
            pool.discard_stale(entry, reason)
        else:
            pool.discard(entry, reason)
        if stale and not self._repeated:
            self._repeated = True
            self._seek(True)
            return
        self._over(pool.now(), f"{reason} {details}".rstrip())

    def origin_full(self) -> None:
        """So short a request is written at once."""

    def origin_drained(self) -> None:
        """As `origin_full`."""

    def awaits_origin(self) -> bool:
        """The request is complete."""
        return True

    # The end of one check.

    def _whole(self, response: Response) -> None:
        wire = self._detach()
        protocol, entry = wire.protocol, wire.entry
        pool = self._origin.pool
        if protocol.own_state is not State.DONE:
            pool.discard(entry, Reason.EARLY_RESPONSE)
        else:
            protocol.next_cycle()
            values = response.facts.keep_alive
            hints = parse(values) if values else NO_HINTS
            reason = reason_of_end(response.status, entry.reused, protocol.reason or Reason.PEER_CLOSED)
            pool.release(entry, reason, hints.timeout, hints.maximum)
        self._judge(response)

    def _judge(self, response: Response) -> None:
        bad = response.status >= FIRST_BAD_STATUS
        self._over(self._origin.pool.now(), f"it answers {response.status}" if bad else "")

    def _over(self, now: float, fault: str) -> None:
        """Note what came of it."""
        health = self._origin.health
        if fault:
            if health.checked is not False:
                logger.warning("%s: a check failed: %s", self._origin, fault)
            health.check_failed()
        else:
            health.check_passed(now)
        self._wait(now)

    def _wait(self, now: float) -> None:
        interval = self._settings.health_interval
        self.deadline = now + interval * random.uniform(1 - JITTER, 1 + JITTER)

    def _detach(self) -> OriginWire:
        wire = self._wire
        assert wire is not None
        self._wire = wire.exchange = None
        wire.deadline = math.inf
        return wire
