"""Which of several origins that serve the same is asked next.

    least-outstanding   who has the fewest exchanges under way for its weight; among equals they take turns
    round-robin         they take turns, by weight
    hash                the same client, field, cookie or path goes to the same origin

Only those that are in (`health`) are asked; where all are out, all of them: an answer is more likely from
one that failed than from nobody. So no clock and no condition is looked at for a request, only a list
that is made anew when somebody's health changes.

Hashing is over a ring of points, as many for each origin as its weight asks for. When an origin leaves,
only what went to it goes elsewhere, and it comes back to it; the order in which origins are named, and
which process asks, make no difference. With `hash_bound`, what is above that many times an origin's share
of the exchanges under way goes to the next one on the ring (Mirrokni, Thorup, Zadimoghaddam 2018).

RFC 9110 §7.3 (routing), RFC 6265 §5.4 (the Cookie field).
"""

from __future__ import annotations

import bisect
import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from types import MappingProxyType
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from perdure.config import check_settings
from perdure.core import Request
from perdure.core.heads import origin_form
from perdure.core.syntax import TOKEN
from perdure.intermediary.client_hop import ClientHop
from perdure.intermediary.health import Condition
from perdure.intermediary.origins import OriginServer

logger = logging.getLogger("perdure.gateway")

POINTS: Final = 160
"""On the ring for an origin of weight 1: shares then differ by some 8 % (ketama)."""
Times: TypeAlias = Annotated[float, msgspec.Meta(ge=1, title="TIMES", description="a number, at least 1,")]
TOLD: Final[Mapping[Condition, str]] = MappingProxyType(
    {
        Condition.IN: "is asked again",
        Condition.RESTING: "is left alone for a while",
        Condition.FAILED: "is left alone until its checks pass",
    }
)
HashKey = Callable[[Request, ClientHop], bytes]
"""What of a request is hashed; b"" where it has nothing of the kind."""


@dataclass(slots=True, frozen=True, kw_only=True)
class BalanceSettings:
    """How requests are spread over the origins of one route.

    Raises:
        ValueError: one of them is not what its type says; the message names it.
    """

    balance: Literal["least-outstanding", "round-robin", "hash"] = "least-outstanding"
    """Who is asked: who has the fewest exchanges under way, all in turn, or as `hash_on` says."""
    hash_on: str = "address"
    """What is hashed: the client's "address", "path", "field:NAME", or "cookie:NAME"."""
    hash_bound: Times | None = None
    """Beyond so many times its share of the exchanges under way, an origin gets no more by hash, but the next
    one does (HAProxy, hash-balance-factor). none: any."""

    def __post_init__(self) -> None:
        check_settings(self)
        hash_key(self.hash_on)


class Group(ABC):
    """The origins of one route: the `Destinations` where there is no other route.

    Attributes:
        origins: all of them; `ready`: those that are asked; `equal`: whether these have equal shares.
    """

    __slots__ = ("_told", "equal", "origins", "ready")

    def __init__(self, origins: Sequence[OriginServer]) -> None:
        if not origins:
            raise ValueError("to: the URL of an origin expected, got none")
        self.origins = list(origins)
        self.ready = self.origins
        self._told: dict[OriginServer, Condition] = {}
        for origin in self.origins:
            origin.health.changed = self.look_again
        self.look_again()

    @abstractmethod
    def choose(self, request: Request, hop: ClientHop) -> OriginServer:
        """As `Destinations.choose`; it never refuses."""

    def another(self, origin: OriginServer, tried: Collection[OriginServer]) -> OriginServer | None:
        """As `Destinations.another`: who has the fewest exchanges under way among those not yet tried."""
        return min([one for one in self.ready if one not in tried], key=_load, default=None)

    def look_again(self) -> None:
        """Take note of everybody's health."""
        for origin in self.origins:
            origin.share = origin.weight * origin.health.share
            self._tell(origin)
        self.ready = [one for one in self.origins if one.health.condition is Condition.IN] or self.origins
        self.equal = len({origin.share for origin in self.ready}) == 1

    def _tell(self, origin: OriginServer) -> None:
        """Log where one of several origins is now, if it was elsewhere; a sole one is asked all the same."""
        condition = origin.health.condition
        before = self._told.get(origin, Condition.IN)
        self._told[origin] = condition
        if condition is not before and len(self.origins) > 1:
            logger.info("%s: %s", origin, TOLD[condition])


class LeastOutstanding(Group):
    """Who has the fewest exchanges under way; the only one where there is only one."""

    __slots__ = ("_turn",)

    def __init__(self, origins: Sequence[OriginServer]) -> None:
        self._turn = -1
        super().__init__(origins)

    def choose(self, request: Request, hop: ClientHop) -> OriginServer:
        """See the class."""
        ready = self.ready
        if len(ready) == 1:
            return ready[0]
        return self._choose_equal(ready) if self.equal else self._choose_weighed(ready)

    def _choose_equal(self, ready: Sequence[OriginServer]) -> OriginServer:
        turn = self._turn = (self._turn + 1) % len(ready)
        best = ready[turn]
        if best.outstanding:
            for origin in [*ready[turn:], *ready[:turn]]:
                if origin.outstanding < best.outstanding:
                    best = origin
        return best

    def _choose_weighed(self, ready: Sequence[OriginServer]) -> OriginServer:
        loads = [origin.outstanding / origin.share for origin in ready]
        lowest = min(loads)
        equals = [origin for origin, load in zip(ready, loads, strict=True) if load == lowest]
        return equals[0] if len(equals) == 1 else in_turn(equals)


class RoundRobin(Group):
    """They take turns."""

    __slots__ = ()

    def choose(self, request: Request, hop: ClientHop) -> OriginServer:
        """See the class."""
        return in_turn(self.ready)


class ConsistentHash(Group):
    """The same key goes to the same origin; without a key, who has the fewest exchanges under way."""

    __slots__ = ("_bound", "_key", "_owners", "_points")

    def __init__(self, origins: Sequence[OriginServer], key: HashKey, bound: float | None = None) -> None:
        super().__init__(origins)
        self._key = key
        self._bound = bound
        ring = sorted(
            (_point(f"{origin}#{number}".encode()), place)
            for place, origin in enumerate(self.origins)
            for number in range(POINTS * origin.weight)
        )
        self._points = [point for point, _ in ring]
        self._owners = [self.origins[place] for _, place in ring]

    def choose(self, request: Request, hop: ClientHop) -> OriginServer:
        """See the class."""
        ready, key = self.ready, self._key(request, hop)
        if not key or len(ready) == 1:
            return min(ready, key=_load)
        point = _point(key)
        most = self._most_for_weight_one()
        passed: list[OriginServer] = []
        for owner in self._from(bisect.bisect(self._points, point)):
            if owner in passed:
                continue
            if owner in ready and owner.outstanding < most * owner.share and _admits(owner, point):
                return owner
            passed.append(owner)
            if len(passed) == len(self.origins):
                break
        return min(ready, key=_load)

    def _most_for_weight_one(self) -> float:
        """How many exchanges an origin of weight 1 may have under way."""
        if self._bound is None:
            return math.inf
        under_way = sum([origin.outstanding for origin in self.ready]) + 1
        return self._bound * under_way / sum([origin.share for origin in self.ready])

    def _from(self, start: int) -> Iterator[OriginServer]:
        owners = self._owners
        size = len(owners)
        return (owners[(start + step) % size] for step in range(size))


def make_group(origins: Sequence[OriginServer], settings: BalanceSettings) -> Group:
    """The origins of one route, balanced as is set."""
    if settings.balance == "hash":
        return ConsistentHash(origins, hash_key(settings.hash_on), settings.hash_bound)
    return RoundRobin(origins) if settings.balance == "round-robin" else LeastOutstanding(origins)


def in_turn(origins: Sequence[OriginServer]) -> OriginServer:
    """The next of several, each as often as its share says, and never in clusters (nginx, smooth)."""
    best, total = origins[0], 0.0
    for origin in origins:
        origin.credit += origin.share
        total += origin.share
        if origin.credit > best.credit:
            best = origin
    best.credit -= total
    return best


def _load(origin: OriginServer) -> float:
    return origin.outstanding / origin.share


def _point(key: bytes) -> int:
    return int.from_bytes(blake2b(key, digest_size=8).digest(), "big")


def _admits(owner: OriginServer, point: int) -> bool:
    """Whether an origin takes this key, of which it gets only a part after it has come back."""
    part = owner.health.share
    return part >= 1.0 or (point & 0xFFFF) < part * 0x10000


# What is hashed.


def hash_key(text: str) -> HashKey:
    """Read what is hashed: "address", "path", "field:NAME" or "cookie:NAME".

    Raises:
        ValueError: it is something else; the message begins with "hash_on".
    """
    kind, _, name = text.partition(":")
    if text in _KEYS:
        return _KEYS[text]
    if kind == "field" and TOKEN.fullmatch(name.encode()):
        return _key_of_field(name.lower().encode())
    if kind == "cookie" and TOKEN.fullmatch(name.encode()):
        return _key_of_cookie(name.encode())
    raise ValueError(f'hash_on: "address", "path", "field:NAME" or "cookie:NAME" expected, got {text!r}')


def _address(request: Request, hop: ClientHop) -> bytes:
    return hop.address


def _path(request: Request, hop: ClientHop) -> bytes:
    return origin_form(request.target).partition(b"?")[0]


_KEYS: Final[Mapping[str, HashKey]] = MappingProxyType({"address": _address, "path": _path})


def _key_of_field(lowered: bytes) -> HashKey:
    def key(request: Request, hop: ClientHop) -> bytes:
        return b", ".join([line.value for line in request.fields if line.lowered == lowered])

    return key


def _key_of_cookie(name: bytes) -> HashKey:
    def key(request: Request, hop: ClientHop) -> bytes:
        for line in request.fields:
            if line.lowered == b"cookie":
                for pair in line.value.split(b";"):
                    named, equals, value = pair.strip(b" \t").partition(b"=")
                    if equals and named == name:
                        return value
        return b""

    return key
