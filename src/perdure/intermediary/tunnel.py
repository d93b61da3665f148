"""A tunnel: the octets of a client's connection go to another connection, and that one's come back.

    client ──▶ near ──outward──▶ far ──▶ origin, or whoever was asked for
           ◀──      ◀──inward───     ◀──

`near` is a `GatewayConnection` that has sent the response which ends HTTP (101, or 2xx to CONNECT);
`far` is a `FarWire`, dialled for this or taken from the pool, to which it never returns.

* Each side is read only while the other one takes: a tunnel's memory is that of two transports.
* The end of one side (FIN) is handed on behind all of its octets; the other direction goes on. Over TLS
  there is no half-close: there the end of one side is the end of the tunnel.
* A side that breaks off (reset, or nothing taken for `write_timeout`) breaks off the other one too, after
  what had come from it is delivered: what is missing must not look like an end.
* A tunnel through which nothing passes for `tunnel_timeout` is ended.
* A tunnel is a connection of the registry like any other: it counts against `max_connections`, a shutdown
  waits for it and cuts it off after `drain_timeout`. It does not count against the pool's caps.

How a tunnel is opened is in `tunnels`.

RFC 9110 §7.8 (Upgrade), §9.3.6 (CONNECT, the end of tunnels).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from perdure.core import FieldLine, Reason
from perdure.wire.errors import WireError
from perdure.wire.linger import break_off
from perdure.wire.loop import LoopWire
from perdure.wire.tunnel import divert

if TYPE_CHECKING:
    from perdure.intermediary.inbound import GatewayConnection
    from perdure.intermediary.tunnels import Tunnels

logger = logging.getLogger("perdure.gateway")


class FarWire(LoopWire):
    """The far side of a tunnel. Nothing is read before the tunnel is open.

    Args:
        write_timeout: how long it may take none of what waits for it, in seconds.

    Attributes:
        relay: the tunnel; None before it is open.
    """

    __slots__ = ("_early", "_tunnels", "relay")

    tcp_keepalive = True

    def __init__(self, tunnels: Tunnels, write_timeout: float) -> None:
        super().__init__(write_timeout)
        self._tunnels = tunnels
        self._early = b""
        self.relay: Relay | None = None

    def wire_opened(self) -> None:
        """Wait for the tunnel."""
        self._tunnels.far_wires.add(self)
        self.pause_reading()

    def data_received(self, octets: bytes) -> None:
        """Keep what a TLS layer had read already."""
        self._early += octets

    def take_early(self) -> bytes:
        """What came before the tunnel was open."""
        octets, self._early = self._early, b""
        return octets

    def write_side_drained(self) -> None:
        """The far side takes more."""
        if self.relay is not None:
            self.relay.far_drained()

    def write_stalled(self, now: float) -> None:
        """The far side took nothing for too long."""
        self.abort()
        if self.relay is not None:
            self.relay.far_gone(Reason.WRITE_TIMEOUT)

    def wire_lost(self, error: WireError | None) -> None:
        """The far side is gone, whoever ended it."""
        self._tunnels.far_gone(self)
        if self.relay is not None:
            self.relay.far_gone(Reason.TUNNEL if error is None else Reason.TUNNEL_BROKEN)


class Direction:
    """One direction: takes what comes from one side and gives it to the other.

    Attributes:
        octets: how many have passed.
        ended: its source has said the end.
    """

    __slots__ = ("_relay", "_sink", "_source", "ended", "octets")

    def __init__(self, relay: Relay, source: LoopWire, sink: LoopWire) -> None:
        self._relay = relay
        self._source = source
        self._sink = sink
        self.octets = 0
        self.ended = False

    def tunnel_received(self, octets: bytes) -> None:
        """Pass octets on; read no more while the other side takes none."""
        sink, source = self._sink, self._source
        self._relay.heard_at = source.now()
        self.octets += len(octets)
        sink.write(octets)
        if sink.writing_paused:
            source.pause_reading()

    def tunnel_ended(self) -> None:
        """Pass the end on, behind the octets before it."""
        self.ended = True
        self._relay.side_ended(self._sink)


class Relay:
    """A tunnel that is open: what `exchange` of the client's connection is from then on.

    Attributes:
        outward, inward: its directions.
        heard_at: when octets came last, from either side.
        over: its end is decided.
    """

    __slots__ = ("_began", "_ended", "_far", "_near", "_tunnels", "heard_at", "inward", "outward", "over")

    def __init__(
        self, near: GatewayConnection, far: FarWire, tunnels: Tunnels, ended: Callable[[], None] | None
    ) -> None:
        self._near = near
        self._far = far
        self._tunnels = tunnels
        self._ended = ended
        self._began = self.heard_at = near.now()
        self.outward = Direction(self, near, far)
        self.inward = Direction(self, far, near)
        self.over = False

    def begin(self, early: bytes) -> None:
        """The client knows of it: let the far side speak.

        Args:
            early: what it has said already.
        """
        near, far = self._near, self._far
        far.relay = self
        near.deadline = self._deadline()
        if far.lost:  # while nobody read it: it was reset
            self.far_gone(Reason.TUNNEL_BROKEN)
            return
        divert(far, self.inward, early + far.take_early())
        if near.writing_paused:
            far.pause_reading()

    def _deadline(self) -> float:
        limit = self._tunnels.timeout
        return math.inf if limit is None else self.heard_at + limit

    # What the two sides call.

    def side_ended(self, other: LoopWire) -> None:
        """One side ended; the other one is told, and goes on where it can."""
        if self.over:
            return
        both = self.outward.ended and self.inward.ended
        if both or not other.half_close():
            self._finish(Reason.TUNNEL)

    def client_full(self) -> None:
        """The client takes no more for now: whoever writes next pauses the other side."""

    def client_drained(self) -> None:
        """The client takes more."""
        self.heard_at = self._near.now()
        self._far.resume_reading()

    def far_drained(self) -> None:
        """The far side takes more."""
        self.heard_at = self._far.now()
        self._near.resume_reading()

    def time_over(self, now: float) -> None:
        """Nothing may have passed for `tunnel_timeout`."""
        deadline = self._deadline()
        if now < deadline:
            self._near.deadline = deadline
        else:
            self._finish(Reason.IDLE_LIMIT)

    def aborted(self, reason: Reason) -> None:
        """The client's connection is gone, or was cut off."""
        if self._is_over(reason):
            return
        if reason is Reason.TUNNEL:
            self._end_far()
        else:
            break_off(self._far)

    def far_gone(self, reason: Reason) -> None:
        """The far side is gone."""
        if self._is_over(reason):
            return
        if reason is Reason.TUNNEL:
            self._near.end_tunnel(reason)
        else:
            self._near.break_tunnel(reason)

    def content(self, octets: bytes, end: bool, trailers: Sequence[FieldLine]) -> None:
        """There is no content any more."""

    # The end.

    def _finish(self, reason: Reason) -> None:
        """End both sides; each gets what was written to it."""
        if not self._is_over(reason):
            self._near.end_tunnel(reason)
            self._end_far()

    def _end_far(self) -> None:
        settings = self._near.registry.settings
        if self._far.tls:
            self._far.close()
        else:
            self._far.linger(settings.linger_octets, settings.linger_idle, settings.linger_total)

    def forget(self) -> None:
        """Nothing more comes of it."""
        self.over = True
        self._tunnels.open_ones.discard(self)
        if self._ended is not None:
            self._ended()

    def _is_over(self, reason: Reason) -> bool:
        """Say whether its end was decided before; note it, if it is decided now."""
        if self.over:
            return True
        self.forget()
        near = self._near
        near.note_tunnel(self.inward.octets)
        logger.debug(
            "connection %d: tunnel to %s ends after %.1f s, %d octets there and %d back: %s",
            near.number,
            self._far.peer_text,
            near.now() - self._began,
            self.outward.octets,
            self.inward.octets,
            reason,
        )
        return False
