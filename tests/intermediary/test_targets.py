"""Whom a request to a forward proxy is for, as its target says."""

from __future__ import annotations

import pytest

from perdure.client.settings import ClientSettings
from perdure.intermediary.access import Access
from perdure.intermediary.client_hop import ClientHop
from perdure.intermediary.forwarding import Forwarding
from perdure.intermediary.origin_side import OriginSide
from perdure.intermediary.origins import Refused
from perdure.intermediary.targets import REMEMBERED, Target, Targets, parse_authority, parse_target
from perdure.wire.memory import MemoryNetwork
from tests.intermediary.heads import request

PLAIN_HOP = ClientHop(b"192.0.2.1", b"http")
TLS_HOP = ClientHop(b"192.0.2.1", b"https")


def targets(*allow: str) -> Targets:
    side = OriginSide(ClientSettings(), Forwarding(), MemoryNetwork())
    return Targets(Access(allow), side)


def refused(head: bytes, hop: ClientHop = PLAIN_HOP) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        targets().choose(request(head), hop)
    return caught.value.row.status, caught.value.row.sentence


@pytest.mark.row("R19")
@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"http://Example.Test/a", Target("http", "example.test", 80)),
        (b"http://example.test", Target("http", "example.test", 80)),
        (b"http://example.test?q=/x", Target("http", "example.test", 80)),
        (b"HTTP://example.test:/", Target("http", "example.test", 80)),
        (b"http://example.test:8080/", Target("http", "example.test", 8080)),
        (b"http://[2606:4700::1]:81/", Target("http", "2606:4700::1", 81)),
        (b"http://[2606:4700::1]/", Target("http", "2606:4700::1", 80)),
        (b"https://example.test/", Target("https", "example.test", 443)),
    ],
)
def test_the_origin_is_what_the_target_names(target: bytes, expected: Target) -> None:
    assert parse_target(target) == expected


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"ftp://example.test/", 501),
        (b"http://example.test:0/", 400),
        (b"http://example.test:65536/", 400),
        (b"http://example.test:000000080/", 400),
        (b"http://2130706433/", 400),
        (b"http://127.1/", 400),
        (b"http://[::g]/", 400),
    ],
)
def test_what_is_no_origin_of_http_is_refused(target: bytes, status: int) -> None:
    with pytest.raises(Refused) as caught:
        parse_target(target)
    assert caught.value.row.status == status


def test_a_tunnel_is_asked_for_by_host_and_port() -> None:
    assert parse_authority(b"Example.Test:443") == Target("http", "example.test", 443)
    assert parse_authority(b"[::1]:443") == Target("http", "::1", 443)
    with pytest.raises(Refused):
        parse_authority(b"0x7f.1:443")


@pytest.mark.parametrize("target", [b"/", b"/a?b", b"*"])
def test_what_is_asked_of_the_proxy_itself_is_answered_with_how_to_ask(target: bytes) -> None:
    status, sentence = refused(b"OPTIONS " + target + b" HTTP/1.1\r\nHost: a.test\r\n")
    assert (status, "this is a forward proxy" in sentence) == (400, True)


@pytest.mark.row("R152")
def test_https_is_asked_for_with_connect_or_by_a_client_that_speaks_tls() -> None:
    head = b"GET https://a.test/ HTTP/1.1\r\nHost: a.test\r\n"
    assert refused(head)[0] == 421
    mine = targets()
    assert str(mine.choose(request(head), TLS_HOP)) == "https://a.test:443"
    with pytest.raises(Refused):  # what one client may ask says nothing of another
        mine.choose(request(head), PLAIN_HOP)


@pytest.mark.parametrize(
    ("target", "error"),
    [(b"http://10.0.0.1/", "destination_ip_prohibited"), (b"http://[::1]/", "destination_ip_prohibited")],
)
def test_a_literal_address_is_judged_at_once(target: bytes, error: str) -> None:
    with pytest.raises(Refused) as caught:
        targets().choose(request(b"GET " + target + b" HTTP/1.1\r\n"), PLAIN_HOP)
    assert (caught.value.row.status, caught.value.row.error) == (403, error)
    allowed = targets("10.0.0.1", "::1").choose(request(b"GET " + target + b" HTTP/1.1\r\n"), PLAIN_HOP)
    assert str(allowed).removeprefix("http://").startswith(target[7:-1].decode())


def test_requests_for_one_origin_get_the_same_record() -> None:
    mine = targets()
    first = mine.choose(request(b"GET http://a.test/1 HTTP/1.1\r\n"), PLAIN_HOP)
    assert mine.choose(request(b"GET http://a.test/2 HTTP/1.1\r\n"), PLAIN_HOP) is first
    assert mine.another(first, [first]) is None


def test_the_memory_of_origins_is_bounded() -> None:
    mine = targets()
    first = mine.choose(request(b"GET http://a.test/ HTTP/1.1\r\n"), PLAIN_HOP)
    for number in range(REMEMBERED):
        mine.choose(request(b"GET http://a%d.test/ HTTP/1.1\r\n" % number), PLAIN_HOP)
    assert len(mine._known) == REMEMBERED
    assert mine.choose(request(b"GET http://a.test/ HTTP/1.1\r\n"), PLAIN_HOP) is not first


def test_names_that_no_host_can_have_are_not_remembered() -> None:
    known = targets()
    for behind in b"?" + b"x" * 8000, b"." + b"a." * 4000 + b"com":
        received = request(b"GET http://example.com" + behind + b"/ HTTP/1.1\r\n")
        once, again = known.choose(received, PLAIN_HOP), known.choose(received, PLAIN_HOP)
        assert once is not again
        assert once.key == again.key
