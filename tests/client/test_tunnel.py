"""What is said to a proxy for a tunnel, and what becomes of each answer (9110 §9.3.6, RFC 9931)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import perdure
from perdure.client.proxies import read_proxy
from perdure.client.requests import USER_AGENT
from perdure.client.tunnel import REFUSAL_OCTETS, TunnelOpening
from perdure.client.urls import locate
from perdure.core.limits import Limits
from perdure.core.reason import Reason

OPEN = b"HTTP/1.1 200 Connection established\r\n\r\n"
FORBIDDEN = b"HTTP/1.1 403 Not here\r\nContent-Length: 4\r\n\r\nno!\n"


def opening(url: str = "https://origin.test/", proxy: str = "http://proxy.test:3128") -> TunnelOpening:
    origin = locate(url).origin._replace(proxy=read_proxy(proxy))
    return TunnelOpening(origin, Limits(max_line=100, max_head=300), USER_AGENT)


@pytest.mark.row("R21", "R17", "R171", "R180")
@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("https://origin.test/a?b", b"origin.test:443"),
        ("https://origin.test:8443/", b"origin.test:8443"),
        ("http://origin.test/", b"origin.test:80"),
        ("https://[::1]/", b"[::1]:443"),
    ],
)
def test_authority_form_names_host_and_port(url: str, authority: bytes) -> None:
    octets = opening(url).request
    head = b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n%b\r\n"
    assert octets == head % (authority, authority, USER_AGENT.octets)


def test_the_credentials_go_with_it() -> None:
    assert b"\r\nProxy-Authorization: Basic YTpi\r\n" in opening(proxy="a:b@proxy.test").request


@pytest.mark.row("S13")
def test_netscapes_field_is_said_where_it_was_asked_for() -> None:
    proxy = read_proxy("proxy.test", says_proxy_connection=True)
    origin = locate("https://origin.test/").origin._replace(proxy=proxy)
    assert b"\r\nProxy-Connection: keep-alive\r\n" in TunnelOpening(origin, Limits(), USER_AGENT).request


@pytest.mark.row("R52")
@pytest.mark.parametrize(
    "head",
    [
        OPEN,
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.1 299 \r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 \r\n\r\n" + OPEN,
    ],
)
def test_success_opens_it_whatever_it_says_of_its_length(head: bytes) -> None:
    for split in range(1, len(head)):
        tunnel = opening()
        assert not tunnel.receive(head[:split])
        assert tunnel.receive(head[split:])
    assert opening().receive(head)


@pytest.mark.row("R64")
@pytest.mark.parametrize("surplus", [b"\x16", b"HTTP/1.1 200 OK\r\n\r\n", b"\r\n"])
def test_octets_beyond_the_answer_are_refused(surplus: bytes) -> None:
    with pytest.raises(perdure.ProxyError, match=f"the proxy sent {len(surplus)} octets beyond") as caught:
        opening().receive(OPEN + surplus)
    assert caught.value.reason is Reason.SURPLUS_OCTETS


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", Reason.BAD_SYNTAX),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", Reason.BAD_SYNTAX),
        (b"HTTP/2.0 200 OK\r\n\r\n", Reason.BAD_VERSION),
        (b"HTTP/1.1 200 OK\r\nA: " + b"a" * 101, Reason.TOO_LARGE),
        (b"HTTP/1.1 200 OK\r\n" + b"A: a\r\n" * 60, Reason.TOO_LARGE),
        (b"HTTP/1.1 101 \r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", Reason.BAD_SYNTAX),
        (b"HTTP/1.1 403 \r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", Reason.FAULTY_FRAMING),
    ],
)
def test_what_is_no_answer_is_an_error(octets: bytes, reason: Reason) -> None:
    with pytest.raises(perdure.ProxyError, match="the proxy's answer to CONNECT") as caught:
        opening().receive(octets)
    assert (type(caught.value), caught.value.reason) == (perdure.ProxyError, reason)
    assert caught.value.request_sent == "no"


@pytest.mark.row("R168")
@pytest.mark.parametrize(
    ("octets", "status", "phrase", "content"),
    [
        (FORBIDDEN, 403, "Not here", b"no!\n"),
        (b"HTTP/1.1 502 \r\nContent-Length: 0\r\n\r\n", 502, "", b""),
        (
            b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nlow\r\n0\r\n\r\n",
            503,
            "Busy",
            b"low",
        ),
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://login.test/\r\nContent-Length: 0\r\n\r\n",
            302,
            "Found",
            b"",
        ),
        (b"HTTP/1.1 304 \r\n\r\n", 304, "", b""),
    ],
)
def test_a_refusal_says_everything(octets: bytes, status: int, phrase: str, content: bytes) -> None:
    with pytest.raises(perdure.ProxyRefused, match=f"refused the tunnel: {status}") as caught:
        opening().receive(octets)
    error = caught.value
    assert (error.status, error.reason_phrase, error.content) == (status, phrase, content)
    assert error.reason is Reason.CONNECT_REJECTED


def test_407_has_a_kind_of_its_own_and_its_challenge() -> None:
    octets = b"HTTP/1.1 407 \r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"
    with pytest.raises(perdure.ProxyAuthenticationRequired) as caught:
        opening().receive(octets)
    assert caught.value.fields[0].octets == b"Proxy-Authenticate: Basic\r\n"


def test_a_refusal_is_told_though_its_page_is_cut_off_or_faulty_or_endless() -> None:
    cut = opening()
    assert not cut.receive(FORBIDDEN[:-2])
    assert cut.refused
    with pytest.raises(perdure.ProxyRefused) as caught:
        cut.receive_end()
    assert caught.value.content == b"no"
    faulty = opening()
    assert not faulty.receive(b"HTTP/1.1 403 \r\nTransfer-Encoding: chunked\r\n\r\n")
    with pytest.raises(perdure.ProxyRefused):
        faulty.receive(b"rubbish\r\n")
    endless = opening()
    assert not endless.receive(b"HTTP/1.1 403 \r\n\r\n")
    assert not endless.receive(b"x" * (REFUSAL_OCTETS - 1))
    with pytest.raises(perdure.ProxyRefused) as caught:
        endless.receive(b"xxx")
    assert caught.value.content == b"x" * REFUSAL_OCTETS


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\n"])
def test_an_end_without_an_answer_is_an_error(begun: bytes) -> None:
    tunnel = opening()
    tunnel.receive(begun)
    with pytest.raises(perdure.ProxyError, match="without an answer to CONNECT") as caught:
        tunnel.receive_end()
    assert caught.value.reason is Reason.INCOMPLETE


@given(
    st.lists(st.binary(max_size=30) | st.sampled_from([b"HTTP/1.1 200 OK", b"\r\n", b"\r\n\r\n"]), max_size=8)
)
def test_any_octets_open_it_or_are_an_error_or_want_more(pieces: list[bytes]) -> None:
    tunnel = opening()
    try:
        for piece in pieces:
            if tunnel.receive(piece):
                return
        tunnel.receive_end()
    except perdure.ProxyError:
        return
