"""Whether a connection persists, why, and what must be said about it.

This is the only place that decides. A caller describes one exchange; `decide` answers with a
`Reason`, never a bool; `announce_response` and `announce_request` turn the same knowledge into
what is sent, so that deciding and announcing cannot part (hyper #1614 came from two places).

`DECISION` is the order, as data: the first row that holds gives the Reason. `docs/persistence.md`
is rendered from it.

RFC 9112 §9.3 (persistence), §9.6 (tear-down), appendix C.2.2 (HTTP/1.0 keep-alive).
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Final, NamedTuple

from perdure.core.fields import HTTP_11, Facts, Version
from perdure.core.framing import Framing, FramingKind
from perdure.core.keepalive import format_hints
from perdure.core.reason import Reason


@enum.unique
class Role(enum.Enum):
    """Who we are on this connection."""

    CLIENT = "client"
    SERVER = "server"
    """An origin server, or a gateway toward its clients: it is the origin to them."""
    PROXY = "proxy"
    """A forward proxy toward its clients."""


@enum.unique
class Announce(enum.Enum):
    """To whom a server states its Keep-Alive hints."""

    ALWAYS = "always"
    HTTP_10 = "http10"
    NEVER = "never"


@enum.unique
class NextHop(enum.Enum):
    """Who reads a client's requests first, as far as that changes what they say."""

    ORIGIN = "origin"
    """An origin server or gateway, or whoever is at the other end of a tunnel."""
    PROXY = "proxy"
    """A forward proxy: the keep-alive option is never said to it (R171)."""
    NETSCAPE_PROXY = "netscape proxy"
    """A forward proxy to which persistence is said with Proxy-Connection, as Netscape did (S13)."""


class Case(NamedTuple):
    """One exchange, as far as persistence is concerned."""

    received: Facts
    """The head received last: the request at a server, the response at a client (§9.3)."""
    sent: Facts
    """The head we sent, or are about to send."""
    role: Role
    framing: Framing
    """Of the response: a request is never delimited by the end of the connection."""
    unread: bool = False
    """True if request content will be left unread."""
    limit: Reason | None = None
    """Our own limit that has been reached."""
    http_10_honoured: bool = True
    """False where an operator distrusts the keep-alive option of HTTP/1.0 messages (S12)."""
    proxy_connection_honoured: bool = False
    """True of a proxy that persists with HTTP/1.0 clients which ask with Proxy-Connection (S13)."""


class Row(NamedTuple):
    """One row of the decision."""

    holds: Callable[[Case], bool]
    reason: Reason | None
    """None: the Reason is the case's own limit."""
    condition: str
    """`holds` in words, for the docs."""


def _old_without_option(facts: Facts) -> bool:
    return facts.version < HTTP_11 and b"keep-alive" not in facts.options


def _asked_for_the_end(case: Case) -> bool:
    """True of a client whose request announced the close: a response that does too only agrees (§9.6)."""
    return case.sent.is_request and b"close" in case.sent.options


def _said_to_a_proxy(case: Case, option: bytes) -> bool:
    """True where we are a proxy, and a client of ours said this with Proxy-Connection (appendix C.2.2)."""
    received = case.received
    return case.role is Role.PROXY and received.is_request and option in received.proxy_options


DECISION: Final = (
    Row(lambda case: case.framing.kind is FramingKind.TUNNEL, Reason.TUNNEL, "the response opened a tunnel"),
    Row(lambda case: case.framing.faulty, Reason.FAULTY_FRAMING, "the framing cannot be trusted"),
    Row(
        lambda case: (
            (b"close" in case.received.options and not _asked_for_the_end(case))
            or _said_to_a_proxy(case, b"close")
        ),
        Reason.CLOSE_RECEIVED,
        "the close option was received, whatever else is listed, by a proxy also in Proxy-Connection; a "
        "client that had sent it first keeps to the next row",
    ),
    Row(lambda case: b"close" in case.sent.options, Reason.CLOSE_SENT, "the close option is in what we send"),
    Row(
        lambda case: case.framing.kind is FramingKind.UNTIL_CLOSE,
        Reason.CLOSE_DELIMITED,
        "the response has no length of its own",
    ),
    Row(lambda case: case.unread, Reason.UNREAD_CONTENT, "request content is left that will not be read"),
    Row(
        lambda case: case.limit is not None,
        None,
        "a reason of our own to end: requests, age, drain, pressure, a CONNECT that we reject, a client "
        "that has closed its side and sent no more",
    ),
    Row(
        lambda case: (
            case.proxy_connection_honoured
            and case.received.version < HTTP_11
            and _said_to_a_proxy(case, b"keep-alive")
        ),
        Reason.PERSISTS_10,
        "we are a proxy told to honour Proxy-Connection, and an HTTP/1.0 request asks with it to keep the "
        "connection",
    ),
    Row(
        lambda case: (
            _old_without_option(case.received) or (case.sent.is_request and _old_without_option(case.sent))
        ),
        Reason.HTTP_10,
        "an HTTP/1.0 message without the keep-alive option was received, or is the request we sent",
    ),
    Row(
        lambda case: case.received.version >= HTTP_11,
        Reason.PERSISTS_11,
        "the message received is HTTP/1.1 or later",
    ),
    Row(
        lambda case: case.role is Role.PROXY and case.received.is_request,
        Reason.PROXY_10,
        "we are a proxy, and this is an HTTP/1.0 request",
    ),
    Row(
        lambda case: not case.http_10_honoured,
        Reason.HTTP_10_IGNORED,
        "keep-alive of HTTP/1.0 is ignored by configuration",
    ),
    Row(lambda case: True, Reason.PERSISTS_10, "what is left: HTTP/1.0 with the keep-alive option"),
)


def decide(case: Case) -> Reason:
    """Say whether the connection persists after the current response, and why.

    RFC 9112 §9.3.
    """
    for row in DECISION:
        if row.holds(case):
            return row.reason or case.limit or Reason.PERSISTS_10
    raise AssertionError("the last row of DECISION always holds")


_UNTIL_CLOSE, _TUNNEL, _PERSISTS_11 = FramingKind.UNTIL_CLOSE, FramingKind.TUNNEL, Reason.PERSISTS_11
"""A member of an Enum costs 0.2 µs to look up on CPython 3.11, a global 0.02."""


def decide_plain(received: Facts, sent: Facts, framing: Framing, limit: Reason | None) -> Reason | None:
    """Answer the commonest case at once; None means: ask `decide`.

    HTTP/1.1 on both sides, no close option, a framed response, no limit reached.
    Walking the table costs 10 µs, this 0.2 µs (bench/bench_client.py); a test holds them equal.
    RFC 9112 §9.3.
    """
    if limit is not None or framing.faulty or b"close" in received.options or b"close" in sent.options:
        return None
    if received.proxy_options:
        return None
    kind = framing.kind
    if kind is _UNTIL_CLOSE or kind is _TUNNEL:
        return None
    if received.version == HTTP_11 and sent.version == HTTP_11:
        return _PERSISTS_11
    return None


class Announcement(NamedTuple):
    """What a head says of persistence."""

    options: tuple[bytes, ...]
    """Connection options to send."""
    hints: bytes
    """The value of the Keep-Alive field; b"" for none."""
    to_proxy: tuple[bytes, ...] = ()
    """Options to send in Proxy-Connection."""


SAY_NOTHING: Final = Announcement((), b"")
SAY_CLOSE: Final = Announcement((b"close",), b"")
SAY_KEEP_ALIVE: Final = Announcement((b"keep-alive",), b"")
SAY_KEEP_ALIVE_TO_PROXY: Final = Announcement((), b"", (b"keep-alive",))


def announce_response(
    reason: Reason,
    version: Version,
    announce: Announce,
    timeout: int | None,
    maximum: int | None,
    role: Role = Role.SERVER,
) -> Announcement:
    """What a response must say, given what was decided.

    Args:
        reason: from `decide`.
        version: of the request.
        announce: to whom hints are stated; an HTTP/1.0 client always gets the option (R169).
        timeout: seconds we keep it idle, None for no hint.
        maximum: requests we still take on it, None for no hint.
        role: ours; a proxy persists with HTTP/1.0 only where it was asked to with Proxy-Connection, and
            says so in the same way (S13).

    RFC 9112 §9.6 (close), RFC 2068 §19.7.1 (keep-alive).
    """
    if reason is Reason.TUNNEL:
        return SAY_NOTHING
    if not reason.persists:
        return SAY_CLOSE
    if reason is Reason.PERSISTS_10 and role is Role.PROXY:
        return SAY_KEEP_ALIVE_TO_PROXY
    old = reason is Reason.PERSISTS_10 or version < HTTP_11
    if announce is Announce.ALWAYS or (old and announce is Announce.HTTP_10):
        hints = format_hints(timeout, maximum)
        # 2068 §19.7.1.1: the field needs the option beside it (R173).
        return Announcement((b"keep-alive",), hints) if hints or old else SAY_NOTHING
    return SAY_KEEP_ALIVE if old else SAY_NOTHING


_ORIGIN = NextHop.ORIGIN


def announce_request(version: Version, persist: bool, next_hop: NextHop = NextHop.ORIGIN) -> Announcement:
    """What a request must say, given whether we want the connection to persist.

    HTTP/1.1 persists unless told otherwise (R97), HTTP/1.0 closes unless told otherwise (S2); but a
    proxy is not asked to keep it alive, unless somebody wants that in Netscape's way.
    RFC 9112 §9.3, §9.6, appendix C.2.2.
    """
    if next_hop is not _ORIGIN and persist:
        return SAY_KEEP_ALIVE_TO_PROXY if next_hop is NextHop.NETSCAPE_PROXY else SAY_NOTHING
    if version >= HTTP_11:
        return SAY_NOTHING if persist else SAY_CLOSE
    return SAY_KEEP_ALIVE if persist else SAY_NOTHING


def heard_from(next_hop: NextHop, facts: Facts) -> Facts:
    """The facts of a response as persistence takes them: whom we told with Proxy-Connection may answer so.

    From anybody else that field means nothing. RFC 9112 appendix C.2.2.
    """
    if next_hop is not NextHop.NETSCAPE_PROXY or not facts.proxy_options:
        return facts
    heard = Facts(facts.version, False, ())
    heard.options = facts.options | facts.proxy_options
    return heard
