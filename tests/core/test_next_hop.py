"""What a client says and hears of persistence where a proxy is the next hop, and when a relay may have
misunderstood it (9112 C.2.2)."""

from __future__ import annotations

import pytest

from perdure.core import HTTP_10, HTTP_11, ClientConnection, Reason, Request, Terms, make_lines
from perdure.core.fields import Version, gather
from perdure.core.persistence import (
    SAY_CLOSE,
    SAY_NOTHING,
    Announcement,
    NextHop,
    announce_request,
    heard_from,
)

ASK_PROXY = Announcement((), b"", (b"keep-alive",))


@pytest.mark.row("R171", "R180", "S13")
@pytest.mark.parametrize(
    ("version", "persist", "next_hop", "announcement"),
    [
        (HTTP_11, True, NextHop.PROXY, SAY_NOTHING),
        (HTTP_10, True, NextHop.PROXY, SAY_NOTHING),
        (HTTP_11, False, NextHop.PROXY, SAY_CLOSE),
        (HTTP_10, False, NextHop.PROXY, SAY_NOTHING),
        (HTTP_11, True, NextHop.NETSCAPE_PROXY, ASK_PROXY),
        (HTTP_10, True, NextHop.NETSCAPE_PROXY, ASK_PROXY),
        (HTTP_11, False, NextHop.NETSCAPE_PROXY, SAY_CLOSE),
        (HTTP_10, False, NextHop.NETSCAPE_PROXY, SAY_NOTHING),
    ],
)
def test_a_proxy_is_asked_in_netscapes_way_or_not_at_all(
    version: Version, persist: bool, next_hop: NextHop, announcement: Announcement
) -> None:
    assert announce_request(version, persist, next_hop) == announcement


@pytest.mark.row("S13")
@pytest.mark.parametrize(
    ("next_hop", "options"),
    [
        (NextHop.ORIGIN, {b"x"}),
        (NextHop.PROXY, {b"x"}),
        (NextHop.NETSCAPE_PROXY, {b"x", b"keep-alive"}),
    ],
)
def test_proxy_connection_is_heard_only_from_whom_it_was_said_to(
    next_hop: NextHop, options: set[bytes]
) -> None:
    lines = make_lines([(b"Connection", b"x"), (b"Proxy-Connection", b"Keep-Alive")])
    assert heard_from(next_hop, gather(HTTP_10, False, lines)).options == options


def client(next_hop: NextHop, version: Version = HTTP_10, *, persist: bool = True) -> ClientConnection:
    """A client that has asked once."""
    connection = ClientConnection(terms=Terms(persist=persist))
    connection.next_hop = next_hop
    ask(connection, version)
    return connection


def ask(connection: ClientConnection, version: Version = HTTP_10) -> bytes:
    return connection.send_whole(Request(b"GET", b"http://x/", make_lines([(b"Host", b"x")]), version))


def answered(connection: ClientConnection, *lines: bytes, version: bytes = b"1.0") -> ClientConnection:
    head = b"HTTP/%b 200 OK\r\nContent-Length: 2\r\n%b\r\n" % (version, b"".join(lines))
    connection.receive(head + b"ok")
    return connection


KEEP = b"Connection: keep-alive\r\n"
PROXY_KEEP = b"Proxy-Connection: Keep-Alive\r\n"
PROXY_CLOSE = b"Proxy-Connection: close\r\n"


@pytest.mark.row("S13", "R171", "R180")
@pytest.mark.parametrize(
    ("next_hop", "lines"),
    [
        (NextHop.ORIGIN, KEEP),
        (NextHop.PROXY, b""),
        (NextHop.NETSCAPE_PROXY, b"Proxy-Connection: keep-alive\r\n"),
    ],
)
def test_what_an_http_10_client_writes(next_hop: NextHop, lines: bytes) -> None:
    connection = ClientConnection()
    connection.next_hop = next_hop
    assert ask(connection) == b"GET http://x/ HTTP/1.0\r\nHost: x\r\n%b\r\n" % lines


@pytest.mark.row("S13")
@pytest.mark.parametrize(
    ("next_hop", "line", "reason"),
    [
        (NextHop.NETSCAPE_PROXY, PROXY_KEEP, Reason.PERSISTS_10),
        (NextHop.NETSCAPE_PROXY, KEEP, Reason.PERSISTS_10),
        (NextHop.NETSCAPE_PROXY, KEEP + PROXY_CLOSE, Reason.CLOSE_RECEIVED),
        (NextHop.NETSCAPE_PROXY, b"", Reason.HTTP_10),
        (NextHop.ORIGIN, PROXY_KEEP, Reason.HTTP_10),
        (NextHop.ORIGIN, KEEP + PROXY_CLOSE, Reason.PERSISTS_10),
        (NextHop.PROXY, KEEP, Reason.HTTP_10),
    ],
)
def test_what_an_http_10_response_makes_of_it(next_hop: NextHop, line: bytes, reason: Reason) -> None:
    assert answered(client(next_hop), line).reason is reason


@pytest.mark.row("R172", "S10", "S14")
@pytest.mark.parametrize(
    ("next_hop", "version", "answer", "possible"),
    [
        (NextHop.ORIGIN, HTTP_10, (KEEP,), True),
        (NextHop.NETSCAPE_PROXY, HTTP_10, (PROXY_KEEP,), True),
        (NextHop.NETSCAPE_PROXY, HTTP_11, (b"",), True),
        (NextHop.ORIGIN, HTTP_11, (b"",), False),
        (NextHop.PROXY, HTTP_11, (b"",), False),
    ],
)
def test_a_relay_is_possible_where_the_keep_alive_option_kept_the_connection(
    next_hop: NextHop, version: Version, answer: tuple[bytes, ...], possible: bool
) -> None:
    connection = client(next_hop, version)
    assert not connection.relay_possible  # whoever does not answer at all is no relay
    answered(connection, *answer, version=b"1.%d" % version[1])
    connection.next_cycle()
    assert not connection.relay_possible  # while nothing is asked
    ask(connection, version)
    assert connection.relay_possible is possible
    connection.receive(b"H")
    assert not connection.relay_possible  # somebody answers


@pytest.mark.row("R172", "S10")
@pytest.mark.parametrize(
    ("line", "possible"), [(KEEP, True), (b"", False), (b"Connection: close\r\n", False)]
)
def test_a_relay_is_possible_where_the_end_of_the_content_is_awaited_though_it_persists(
    line: bytes, possible: bool
) -> None:
    connection = client(NextHop.ORIGIN)
    connection.receive(b"HTTP/1.0 200 OK\r\n%b\r\nhello" % line)
    assert (connection.reason is Reason.CLOSE_DELIMITED) is (line != b"Connection: close\r\n")
    assert connection.relay_possible is possible


@pytest.mark.row("R172")
def test_a_connection_that_is_not_asked_to_stay_says_nothing_and_ends() -> None:
    connection = ClientConnection()
    connection.limit = Reason.NOT_ASKED
    assert ask(connection) == b"GET http://x/ HTTP/1.0\r\nHost: x\r\n\r\n"
    assert answered(connection, KEEP).reason is Reason.NOT_ASKED
    assert not connection.relay_possible
