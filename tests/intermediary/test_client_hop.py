"""What the origin is told of the client: literal lines in, literal lines out (RFC 7239)."""

from __future__ import annotations

import pytest

from perdure.intermediary.client_hop import ClientHop, Spoken, say_client
from perdure.intermediary.forwarding import Forwarding, add_to_request, strip_request
from tests.intermediary.conftest import OK, Play, Stage, answer, status, values
from tests.intermediary.heads import HOP, lines_of, octets, request


def said(came: bytes, hop: ClientHop, spoken: Spoken, wanted: bytes = b"a") -> bytes:
    return octets(say_client(lines_of(came), wanted, hop, spoken))


@pytest.mark.parametrize(
    ("address", "element"),
    [
        (b"192.0.2.1", b"for=192.0.2.1"),
        (b"2001:db8::1", b'for="[2001:db8::1]"'),
        (b"fe80::1%eth0", b'for="[fe80::1]"'),  # a zone means nothing elsewhere
        (b"", b"for=unknown"),  # a unix socket
    ],
)
def test_address_is_a_node_of_rfc_7239(address: bytes, element: bytes) -> None:
    assert said(b"", ClientHop(address, b"https"), "forwarded") == (
        b"Forwarded: " + element + b";proto=https;host=a\r\n"
    )


@pytest.mark.parametrize(
    ("wanted", "pair"),
    [
        (b"example.com", b";host=example.com"),
        (b"example.com:81", b';host="example.com:81"'),
        (b"[::1]", b';host="[::1]"'),
        (b'a"b\\c', b';host="a\\"b\\\\c"'),
        (b"", b""),  # HTTP/1.0 without Host
    ],
)
def test_host_is_quoted_where_it_is_no_token(wanted: bytes, pair: bytes) -> None:
    assert said(b"", HOP, "forwarded", wanted) == b"Forwarded: for=192.0.2.1;proto=http" + pair + b"\r\n"


def test_what_came_is_kept_in_front_of_what_is_said() -> None:
    came = (
        b"Forwarded: for=6.6.6.6\r\nX: 1\r\n"
        b'Forwarded: for="[::2]", for=unknown\r\nX-Forwarded-For: 6.6.6.6\r\n'
    )
    assert said(came, HOP, "both") == (
        b"X: 1\r\nX-Forwarded-For: 6.6.6.6, 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n"
        b'Forwarded: for=6.6.6.6, for="[::2]", for=unknown, for=192.0.2.1;proto=http;host=a\r\n'
    )


def test_elders_are_left_alone_where_only_forwarded_is_spoken() -> None:
    came = b"X-Forwarded-For: 6.6.6.6\r\n"
    assert said(came, HOP, "forwarded") == came + b"Forwarded: for=192.0.2.1;proto=http;host=a\r\n"


FORGED = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n\r\n"


@pytest.mark.parametrize(
    ("trusted", "fields"),
    [
        (False, b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n"
         b"Forwarded: for=192.0.2.1;proto=http;host=a\r\n"),
        (True, b"X-Forwarded-For: 6.6.6.6, 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n"
         b"Forwarded: for=6.6.6.6, for=192.0.2.1;proto=http;host=a\r\n"),
    ],
)  # fmt: skip
def test_word_of_a_trusted_client_is_kept_and_that_of_others_replaced(trusted: bool, fields: bytes) -> None:
    rules = Forwarding(spoken="both")
    received = request(FORGED)
    stripped = strip_request(received, rules, b"origin:9000", trusted)
    assert octets(add_to_request(stripped, received, rules, HOP).fields) == (
        b"Host: a\r\nVia: 1.1 perdure\r\n" + fields
    )


@pytest.mark.parametrize(
    ("trusted", "seen"),
    [
        ((), [b"for=127.0.0.1;proto=http;host=a"]),
        (("192.0.2.0/24",), [b"for=127.0.0.1;proto=http;host=a"]),
        (("192.0.2.0/24", "127.0.0.0/8"), [b"for=6.6.6.6, for=127.0.0.1;proto=http;host=a"]),
    ],
)
def test_networks_say_who_is_trusted(play: Play, trusted: tuple[str, ...], seen: list[bytes]) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, head = await stage.asked(FORGED)
        assert values(head, b"forwarded") == seen
        inner.send(OK)
        assert status((await answer(client))[0]) == 200

    play(scene, trusted=trusted, forwarded_fields="forwarded")
