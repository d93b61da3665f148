"""Where a forward proxy may go: a host is judged by its name, then by the address that is dialled.

    allow, deny     a host, a .domain (itself, and all below), a network or address, or * for everything
    the narrowest   rule that matches decides; of two that are equal, the one that denies
    no rule         public addresses are allowed; all others are not

A name that is allowed may lead to addresses that are not public, as far as `REACH` says: whoever
writes the name of a host of his own means it, wherever it is. A whole domain may hold names of
others, so it never leads to this machine. Rules for addresses come before that.

Names are no protection by themselves: they may resolve to anything, and to something else the
next time. So the very address that is dialled is judged (`wire.network.Permits`), IPv4 addresses
in the clothes of IPv6 as what they are.

RFC 9110 §17.2 (who may abuse an intermediary), §9.3.6 (targets of CONNECT); IANA's registries of
special-purpose addresses (RFC 6890) and of IPv6 multicast.
"""

from __future__ import annotations

import enum
import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

EVERYTHING: Final = "*"
_NAME: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""What ends in it is an address to every resolver, however it is written: 2130706433, 127.1, 0x7f000001."""


@enum.unique
class Place(enum.Enum):
    """What kind of address it is."""

    PUBLIC = "public"
    PRIVATE = "private"
    LOOPBACK = "loopback"
    LINK_LOCAL = "link-local"
    SPECIAL = "special-purpose"


PLACES: Final[dict[str, Place]] = {
    "0.0.0.0/8": Place.SPECIAL,  # to connect to it is to connect to this machine (Linux)
    "10.0.0.0/8": Place.PRIVATE,
    "100.64.0.0/10": Place.PRIVATE,  # a provider's own, 6598; metadata of a cloud at 100.100.100.200
    "127.0.0.0/8": Place.LOOPBACK,
    "168.63.129.16/32": Place.LINK_LOCAL,  # a public number that is always a virtual machine's own host
    "169.254.0.0/16": Place.LINK_LOCAL,  # metadata of clouds at 169.254.169.254
    "172.16.0.0/12": Place.PRIVATE,
    "192.0.0.0/24": Place.SPECIAL,
    "192.0.2.0/24": Place.SPECIAL,
    "192.168.0.0/16": Place.PRIVATE,
    "198.18.0.0/15": Place.PRIVATE,
    "198.51.100.0/24": Place.SPECIAL,
    "203.0.113.0/24": Place.SPECIAL,
    "224.0.0.0/3": Place.SPECIAL,  # multicast, reserved, broadcast
    "::/127": Place.SPECIAL,
    "::1/128": Place.LOOPBACK,
    "64:ff9b:1::/48": Place.PRIVATE,
    "100::/64": Place.SPECIAL,
    "2001:db8::/32": Place.SPECIAL,
    "3fff::/20": Place.SPECIAL,
    "fc00::/7": Place.PRIVATE,
    "fe80::/10": Place.LINK_LOCAL,
    "fec0::/10": Place.PRIVATE,
    "ff00::/8": Place.SPECIAL,
}
"""Everything else is public. The narrowest network decides."""
_PLACES: Final = tuple((ipaddress.ip_network(text), place) for text, place in PLACES.items())
_TRANSLATED: Final = (
    (ipaddress.IPv6Network("::ffff:0:0/96"), 0),  # mapped: 4291 §2.5.5.2
    (ipaddress.IPv6Network("::/96"), 0),  # compatible: 4291 §2.5.5.1; :: and ::1 are not
    (ipaddress.IPv6Network("64:ff9b::/96"), 0),  # translated: 6052 §2.1
    (ipaddress.IPv6Network("2002::/16"), 80),  # 6to4: 3056 §2
)
"""IPv6 networks whose addresses stand for IPv4 ones, and how many bits follow the IPv4 address."""


class Kind(enum.Enum):
    """Of a rule for names."""

    HOST = "host"
    DOMAIN = "domain"


REACH: Final[dict[Kind, frozenset[Place]]] = {
    Kind.HOST: frozenset({Place.PUBLIC, Place.PRIVATE, Place.LOOPBACK}),
    Kind.DOMAIN: frozenset({Place.PUBLIC, Place.PRIVATE}),
}
"""Where a name may lead that is allowed by such a rule. Link-local ones need a rule of their own."""


class Rule(NamedTuple):
    """One member of allow or deny. One of `name` and `network` says what; neither, everything."""

    kind: Kind = Kind.HOST
    name: str = ""
    network: Network | None = None


class Access:
    """The rules of one proxy."""

    __slots__ = ("_domains", "_everything", "_hosts", "_networks")

    def __init__(self, allow: Iterable[str] = (), deny: Iterable[str] = ()) -> None:
        """Read the rules.

        Raises:
            ValueError: one of them is none; the message says which.
        """
        self._hosts: dict[str, bool] = {}
        self._domains: dict[str, bool] = {}
        self._networks: dict[Network, bool] = {}
        self._everything: bool | None = None
        for allowed, texts in ((True, allow), (False, deny)):  # of two that are equal the second stays
            for text in texts:
                self._add(parse_rule(text), allowed)

    def _add(self, rule: Rule, allowed: bool) -> None:
        if rule.network is not None:
            self._networks[rule.network] = allowed
        elif not rule.name:
            self._everything = allowed
        elif rule.kind is Kind.HOST:
            self._hosts[rule.name] = allowed
        else:
            self._domains[rule.name] = allowed

    def may_ask(self, host: str) -> bool:
        """Whether a host may be asked for, as far as that can be said without a resolver.

        Args:
            host: as `plain_host` gives it.
        """
        address = literal(host)
        if address is not None:
            return self.permits(host, host)
        allowed, _ = self._by_name(host)
        if allowed is not None:
            return allowed
        return self._everything is not False or any(self._networks.values())

    def permits(self, host: str, address: str) -> bool:
        """Whether an address may be dialled for a host.

        Args:
            host: as `plain_host` gives it; the name, or the address itself.
            address: as the resolver gives it, a zone and all.
        """
        found = literal(address)
        if found is None or self._by_address(_as_written(address)) is False:
            return False
        allowed, kind = (None, None) if literal(host) is not None else self._by_name(host)
        if allowed is False:
            return False
        judged = self._by_address(found)
        if judged is not None:
            return judged
        if self._everything:
            return True
        place = place_of(found)
        if kind is not None:
            return place in REACH[kind]
        return self._everything is None and place is Place.PUBLIC

    def _by_name(self, host: str) -> tuple[bool | None, Kind | None]:
        """What the narrowest rule for names says, and of which kind it is; None where there is none."""
        name = host.rstrip(".")
        allowed = self._hosts.get(name)
        if allowed is not None:
            return allowed, Kind.HOST
        while name:
            allowed = self._domains.get(name)
            if allowed is not None:
                return allowed, Kind.DOMAIN
            name = name.partition(".")[2]
        return None, None

    def _by_address(self, address: Address) -> bool | None:
        matching = [network for network in self._networks if address in network]
        if not matching:
            return None
        return self._networks[max(matching, key=lambda network: network.prefixlen)]


def parse_rule(text: str) -> Rule:
    """Read one member of allow or deny.

    Raises:
        ValueError: it is none; the message says what was expected and got.
    """
    lowered = text.strip().lower()
    if lowered == EVERYTHING:
        return Rule()
    try:
        return Rule(network=ipaddress.ip_network(lowered.removeprefix("[").removesuffix("]")))
    except ValueError as error:
        if "/" in lowered and "host bits" in str(error):
            raise ValueError(f"a network expected, got {text!r}: {error}") from None
    kind = Kind.DOMAIN if lowered.startswith(".") else Kind.HOST
    name = _ascii(lowered).removeprefix(".").removesuffix(".")
    if not _NAME.fullmatch(name) or _NUMBER.fullmatch(name.rpartition(".")[2]):
        expected = "a host, a .domain, a network such as 10.0.0.0/8, or *"
        raise ValueError(f"{expected} expected, got {text!r}")
    return Rule(kind, name)


def plain_host(host: str) -> str:
    """A host of a request as it is judged and dialled: lower case, without brackets.

    Raises:
        ValueError: it is neither a name nor an address in its usual form. Resolvers take 2130706433,
            0x7f.1 and 127.1 for addresses; nobody means well who writes them so.
    """
    plain = host.lower()
    if plain.startswith("["):
        plain = plain[1:-1]
        if literal(plain) is None:
            raise ValueError(f"{host[:80]!r} is no IPv6 address (9110 §4.2)")
        return plain
    if literal(plain) is not None:
        return plain
    name = plain.removesuffix(".")
    if not _NAME.fullmatch(name) or _NUMBER.fullmatch(name.rpartition(".")[2]):
        raise ValueError(f"{host[:80]!r} is neither a host name nor an address (9110 §4.2)")
    return plain


def literal(text: str) -> Address | None:
    """The address that a text is, without its zone, and IPv4 where IPv6 only stands for it; None: a name."""
    try:
        address = _as_written(text)
    except ValueError:
        return None
    return address if isinstance(address, ipaddress.IPv4Address) else _untranslated(address)


def _as_written(text: str) -> Address:
    return ipaddress.ip_address(text.partition("%")[0])


def _untranslated(address: ipaddress.IPv6Address) -> Address:
    number = int(address)
    if number <= 1:  # :: and ::1, which are compatible with nothing
        return address
    for network, bits in _TRANSLATED:
        if address in network:
            return ipaddress.IPv4Address(number >> bits & 0xFFFFFFFF)
    return address


def place_of(address: Address) -> Place:
    """What kind of address it is."""
    matching = [(network.prefixlen, place) for network, place in _PLACES if address in network]
    return max(matching, key=lambda match: match[0])[1] if matching else Place.PUBLIC


def _ascii(name: str) -> str:
    try:
        return name if name.isascii() else name.encode("idna").decode("ascii")
    except UnicodeError:
        return ""


def read_ports(texts: Sequence[str]) -> frozenset[int] | None:
    """Read the ports that CONNECT may ask for: "443", "8000-8999", "any"; commas may part them.

    Returns:
        None for any.

    Raises:
        ValueError: one of them is none; the message says which.
    """
    members = [member.strip() for text in texts for member in text.split(",")]
    if "any" in members:
        return None
    ports: set[int] = set()
    for member in members:
        match = re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", member)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 0 < first <= last < 65536:
            raise ValueError(
                f'a port such as 443, a range such as 8000-8999, or "any" expected, got {member!r}'
            )
        ports.update(range(first, last + 1))
    return frozenset(ports)
