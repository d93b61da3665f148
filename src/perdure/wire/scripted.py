"""The blocking wire's twin in memory: its peer is a generator of literal octets and faults.

    def peer() -> Script:
        head = yield Until(b"\\r\\n\\r\\n")         # waits for octets of the client, and receives them
        yield b"HTTP/1.1 200 OK\\r\\n\\r\\n"       # octets to the client
        yield Pause(5.0)                          # virtual seconds
        yield FIN                                 # or RST; or Stall(100): takes 100 octets, then none

    network = ScriptedNetwork([peer, REFUSED, peer])   # one per dial, in order
    wire = network.dial("origin.test", 80, timeout=10.0)
    network.clock.advance(4.0)                         # the program does something else for a while
    network.connections[0].client_octets

Time passes only while the client waits, and when the test says so. Waiting for what the script
will never send lasts exactly to the deadline; without a deadline it raises `Deadlock`.
"""

from __future__ import annotations

import enum
import errno
import math
import ssl
from collections import deque
from collections.abc import Callable, Collection, Generator, Sequence
from typing import NamedTuple, TypeAlias

from perdure.wire.address import Address, address_text
from perdure.wire.errors import PeerReset, ReadTimeout, WriteTimeout, connect_error


class Until(NamedTuple):
    """Wait for the client's octets up to and with a separator."""

    separator: bytes


class Exactly(NamedTuple):
    """Wait for so many of the client's octets."""

    octets: int


class Pause(NamedTuple):
    """Let virtual seconds pass before the next step."""

    seconds: float


class Stall(NamedTuple):
    """Take so many more octets of the client, then none."""

    after_octets: int = 0


@enum.unique
class Sign(enum.Enum):
    """What a peer does without octets."""

    FIN = "fin"
    RST = "rst"
    CLIENT_END = "client end"
    """Wait for the end of the client's side; receives what came before it."""


@enum.unique
class NoAnswer(enum.Enum):
    """A dial that comes to nothing."""

    REFUSED = "refused"
    UNANSWERED = "unanswered"


FIN = Sign.FIN
RST = Sign.RST
CLIENT_END = Sign.CLIENT_END
REFUSED = NoAnswer.REFUSED
UNANSWERED = NoAnswer.UNANSWERED

Step: TypeAlias = bytes | Until | Exactly | Pause | Stall | Sign
Script: TypeAlias = Generator[Step, bytes, None]


class Deadlock(RuntimeError):
    """The client waits without a deadline for what the script will never send."""


class VirtualClock:
    """Seconds that pass only when somebody says so."""

    def __init__(self, start: float = 1000.0) -> None:
        self._now = start

    def now(self) -> float:
        """Virtual seconds."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds

    def advance_to(self, moment: float) -> None:
        """Let time pass up to a moment, if it is not past."""
        self._now = max(self._now, moment)


class ScriptedNetwork:
    """Dials scripts, one after another.

    Attributes:
        clock: the time of the client and of every script.
        latency: virtual seconds each way.
        connections: the wires that came about, in order.
        dialled: (host, port) or path of every dial, in order.
        names: what names resolve to, the address that is dialled first.
        lookups: the names that `resolve` was asked for, in order.
    """

    def __init__(
        self,
        scripts: Sequence[Callable[[], Script] | NoAnswer],
        *,
        latency: float = 0.0,
        clock: VirtualClock | None = None,
    ) -> None:
        self.clock = clock or VirtualClock()
        self.latency = latency
        self.connections: list[ScriptedWire] = []
        self.dialled: list[Address] = []
        self.names: dict[str, list[Address]] = {}
        self.lookups: list[str] = []
        self._scripts = deque(scripts)

    def now(self) -> float:
        """Virtual seconds."""
        return self.clock.now()

    def dial(
        self,
        host: str,
        port: int,
        *,
        timeout: float,
        tls: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
        happy_eyeballs: float = 0.25,
    ) -> ScriptedWire:
        """Connect to the next script; `tls` is noted and not spoken. Refused when none is left."""
        found = self.names.get(host, [])
        wire = self._dial((host, port), timeout, tls is not None)
        if found:
            wire.peer_address, wire.resolved = found[0], frozenset(found)
        return wire

    def resolve(self, host: str, port: int) -> Collection[Address]:
        """Look up `names`."""
        self.lookups.append(host)
        return frozenset(self.names.get(host, ()))

    def dial_unix(
        self,
        path: str,
        *,
        timeout: float,
        tls: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
    ) -> ScriptedWire:
        """Connect to the next script."""
        return self._dial(path, timeout, tls is not None)

    def _dial(self, address: Address, timeout: float, tls: bool) -> ScriptedWire:
        self.dialled.append(address)
        where = address_text(address)
        script = self._scripts.popleft() if self._scripts else REFUSED
        if script is UNANSWERED or 2 * self.latency > timeout:
            self.clock.advance(timeout)
            raise connect_error(TimeoutError(), where, timeout)
        self.clock.advance(2 * self.latency)
        if isinstance(script, NoAnswer):
            raise connect_error(ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), where)
        wire = ScriptedWire(script(), self.clock, latency=self.latency, address=address, tls=tls)
        self.connections.append(wire)
        return wire


class ScriptedWire:
    """A wire whose peer is a script; the contract is `blocking.StreamWire`.

    Attributes:
        client_octets: everything the client sent.
        server_octets: everything the script has sent so far.
        ended_by_client: "" while open; then "close", "abort" or "detach".
    """

    def __init__(
        self,
        script: Script,
        clock: VirtualClock,
        *,
        latency: float = 0.0,
        address: Address = ("127.0.0.1", 80),
        tls: bool = False,
    ) -> None:
        self.client_octets = bytearray()
        self.server_octets = bytearray()
        self.octets_accepted = 0
        self.opened_at = clock.now()
        self.peer_address = address
        self.own_address: Address = ("127.0.0.1", 50000)
        self.resolved: Collection[Address] = ()
        self.tls = tls
        self.truncated = False
        self.ended_by_client = ""
        self._clock = clock
        self._latency = latency
        self._script = script
        self._script_now = clock.now()
        self._wanted: Step | None = None
        self._finished = False
        self._taken = 0  # how many of the client's octets the script has received
        self._client_ended = False
        self._window = math.inf
        self._arrivals: deque[tuple[float, bytes | Sign]] = deque()
        self._run()

    # The client's side.

    def send(self, octets: bytes, deadline: float = math.inf) -> None:
        """Send all of it."""
        self._check_reset()
        taken = self._accept(octets)
        if taken < len(octets):
            self._wait_in_vain(deadline)
            raise WriteTimeout(f"{self.peer_text}: took no more octets in time")

    def send_or_receive(self, octets: bytes, deadline: float = math.inf) -> tuple[int, bytes | None]:
        """Send until all is sent, or until something arrives."""
        arrived = self._arrived(65536)
        if arrived is not None:
            return 0, arrived
        taken = self._accept(octets)
        arrived = self._arrived(65536)
        if arrived is None and taken < len(octets):
            if not self._wait_arrival(deadline):
                raise WriteTimeout(f"{self.peer_text}: took no more octets in time")
            arrived = self._arrived(65536)
        return taken, arrived

    def receive(self, deadline: float = math.inf, max_octets: int = 65536) -> bytes:
        """Return the next octets; b"" at the script's FIN."""
        if not self._wait_arrival(deadline):
            raise ReadTimeout(f"{self.peer_text}: no octet arrived in time")
        arrived = self._arrived(max_octets)
        assert arrived is not None
        return arrived

    def readable(self) -> bool:
        """Say whether octets, the end or a reset have arrived."""
        return self.ended_by_client != "" or self._due() is not None

    def secure(
        self, tls: ssl.SSLContext, server_hostname: str, deadline: float = math.inf, where: str = ""
    ) -> None:
        """Note that TLS was asked for; it is not spoken."""
        self.tls = True

    def half_close(self) -> bool:
        """End our side; False over TLS."""
        if self.tls:
            return False
        self._end_client("")
        return True

    def close(self) -> None:
        """End both sides."""
        self._end_client("close")

    def abort(self) -> None:
        """Reset."""
        self._end_client("abort")

    def detach(self) -> None:
        """Give up without a word."""
        self.ended_by_client = self.ended_by_client or "detach"

    def fileno(self) -> int:
        """There is no file descriptor: -1."""
        return -1

    def round_trip_seconds(self) -> float:
        """Twice the latency."""
        return 2 * self._latency

    @property
    def peer_text(self) -> str:
        """The peer's address in words."""
        return address_text(self.peer_address)

    def _accept(self, octets: bytes) -> int:
        """Take what the script's window allows, and let the script go on."""
        taken = int(min(len(octets), self._window))
        self._window -= taken
        self.octets_accepted += taken
        self.client_octets += octets[:taken]
        self._run()
        return taken

    def _end_client(self, how: str) -> None:
        if self.ended_by_client:
            return
        self.ended_by_client = how
        self._client_ended = True
        self._run()

    def _due(self) -> bytes | Sign | None:
        """Return what has arrived by now."""
        if not self._arrivals or self._arrivals[0][0] > self._clock.now():
            return None
        return self._arrivals[0][1]

    def _arrived(self, max_octets: int) -> bytes | None:
        """Take what has arrived by now; None where nothing has."""
        self._check_reset()
        item = self._due()
        if item is None:
            return None
        if not isinstance(item, bytes):
            return b""  # FIN stays where it is: the end stays the end
        moment, _ = self._arrivals.popleft()
        if len(item) > max_octets:
            self._arrivals.appendleft((moment, item[max_octets:]))
        return item[:max_octets]

    def _check_reset(self) -> None:
        if self._due() is RST:
            raise PeerReset(f"{self.peer_text}: the peer reset the connection (Connection reset by peer)")

    def _wait_arrival(self, deadline: float) -> bool:
        """Let time pass until something arrives; False when the deadline comes first."""
        if self._arrivals and self._arrivals[0][0] <= deadline:
            self._clock.advance_to(self._arrivals[0][0])
            return True
        self._wait_in_vain(deadline)
        return False

    def _wait_in_vain(self, deadline: float) -> None:
        if deadline == math.inf:
            raise Deadlock(f"{self.peer_text}: waiting without a deadline, and the script waits too")
        self._clock.advance_to(deadline)

    # The script's side.

    def _run(self) -> None:
        """Let the script go on until it waits for more of the client."""
        answer = b""
        while not self._finished:
            if self._wanted is not None:
                found = self._find(self._wanted)
                if found is None:
                    return
                answer = found
                self._script_now = max(self._script_now, self._clock.now() + self._latency)
            try:
                step = self._script.send(answer) if self._wanted is not None else next(self._script)
            except StopIteration:
                self._finished = True
                return
            answer = b""
            self._wanted = None
            self._take_step(step)

    def _take_step(self, step: Step) -> None:
        if isinstance(step, Pause):
            self._script_now += step.seconds
        elif isinstance(step, Stall):
            self._window = step.after_octets
        elif isinstance(step, bytes):
            self.server_octets += step
            self._arrivals.append((self._script_now + self._latency, step))
        elif step is FIN or step is RST:
            self._arrivals.append((self._script_now + self._latency, step))
        else:
            self._wanted = step

    def _find(self, wanted: Step) -> bytes | None:
        """Return the client's octets that a step waits for; None while they have not come."""
        rest = bytes(self.client_octets[self._taken :])
        if isinstance(wanted, Exactly):
            count = wanted.octets if len(rest) >= wanted.octets else -1
        elif isinstance(wanted, Until):
            position = rest.find(wanted.separator)
            count = position + len(wanted.separator) if position >= 0 else -1
        else:
            count = len(rest) if self._client_ended else -1
        if count < 0:
            return None
        self._taken += count
        return rest[:count]
