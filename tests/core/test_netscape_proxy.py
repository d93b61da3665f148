"""What a proxy makes of Proxy-Connection, which Netscape's clients said to it (RFC 9112 appendix C.2.2)."""

from __future__ import annotations

import pytest

from perdure.core import (
    HTTP_10,
    HTTP_11,
    Announce,
    Case,
    Limits,
    Reason,
    Response,
    Role,
    ServerConnection,
    Terms,
    decide,
)
from perdure.core.fields import Version, gather, make_lines
from perdure.core.framing import NO_CONTENT
from perdure.core.persistence import Announcement, announce_response


def said_to_proxy(value: bytes, version: Version, honoured: bool = False, *connection_lines: bytes) -> Reason:
    lines = [(b"Proxy-Connection", value), *[(b"Connection", line) for line in connection_lines]]
    heard = gather(version, True, make_lines(lines))
    sent = gather(HTTP_11, False, ())
    return decide(Case(heard, sent, Role.PROXY, NO_CONTENT, proxy_connection_honoured=honoured))


@pytest.mark.row("R181")
@pytest.mark.parametrize("version", [HTTP_10, HTTP_11])
@pytest.mark.parametrize("honoured", [True, False])
def test_proxy_closes_where_proxy_connection_says_so(version: Version, honoured: bool) -> None:
    assert said_to_proxy(b"Close", version, honoured) is Reason.CLOSE_RECEIVED
    assert said_to_proxy(b"keep-alive, close", version, honoured, b"keep-alive") is Reason.CLOSE_RECEIVED


@pytest.mark.row("R102", "R181", "S13")
def test_proxy_persists_with_http_10_for_proxy_connection_alone_and_only_if_told_to() -> None:
    assert said_to_proxy(b"Keep-Alive", HTTP_10) is Reason.HTTP_10
    assert said_to_proxy(b"Keep-Alive", HTTP_10, False, b"keep-alive") is Reason.PROXY_10
    assert said_to_proxy(b"Keep-Alive", HTTP_10, True) is Reason.PERSISTS_10
    assert said_to_proxy(b"x", HTTP_10, True, b"keep-alive") is Reason.PROXY_10
    assert said_to_proxy(b"Keep-Alive", HTTP_11, True) is Reason.PERSISTS_11


@pytest.mark.row("S13")
def test_proxy_says_in_netscapes_way_that_it_persists() -> None:
    said = announce_response(Reason.PERSISTS_10, HTTP_10, Announce.ALWAYS, 75, 9, Role.PROXY)
    assert said == Announcement((), b"", (b"keep-alive",))


def answered(request: bytes, terms: Terms) -> tuple[bytes, bool]:
    """The head with which a proxy answers a request, and whether its connection goes on."""
    proxy = ServerConnection(Limits(), terms, Role.PROXY)
    proxy.receive(request)
    head = proxy.send_whole(Response(204))
    return head, proxy.persists


OLD = b"GET http://a/ HTTP/1.0\r\nProxy-Connection: Keep-Alive\r\n%b\r\n"
NETSCAPE = Terms(proxy_connection_honoured=True, keep_alive_timeout=75)


@pytest.mark.row("R102", "S13")
@pytest.mark.parametrize("more", [b"", b"Connection: Keep-Alive\r\n"])
def test_no_http_10_client_persists_with_a_proxy(more: bytes) -> None:
    assert answered(OLD % more, Terms()) == (b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", False)


@pytest.mark.row("S13")
def test_a_proxy_told_to_answers_as_netscapes_did() -> None:
    expected = b"HTTP/1.1 204 No Content\r\nProxy-Connection: keep-alive\r\n\r\n"
    assert answered(OLD % b"", NETSCAPE) == (expected, True)


@pytest.mark.row("R181")
def test_proxy_connection_close_of_an_http_11_client_closes() -> None:
    request = b"GET http://a/ HTTP/1.1\r\nHost: a\r\nProxy-Connection: close\r\n\r\n"
    for terms in Terms(), NETSCAPE:
        head, persists = answered(request, terms)
        assert (head, persists) == (b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", False)
