"""Field lines: parsed, made, remembered; and the facts of a head."""

from __future__ import annotations

import pytest

from perdure.core import (
    HTTP_10,
    HTTP_11,
    Facts,
    LocalViolation,
    Reason,
    RemoteViolation,
    make_line,
    make_lines,
)
from perdure.core import fields as fields_module
from perdure.core.fields import gather, parse_line, parse_lines, remembered_line, split_list


@pytest.mark.parametrize(
    ("octets", "name", "value"),
    [
        (b"Host: x", b"Host", b"x"),
        (b"Host:x", b"Host", b"x"),
        (b"Host: \t x \t", b"Host", b"x"),
        (b"X:", b"X", b""),
        (b"X:  ", b"X", b""),
        (b"X: a:b", b"X", b"a:b"),
        (b"X: a \t b", b"X", b"a \t b"),
        (b"X: caf\xe9 \xc0\x8a\xe5\x98\x8a\x85", b"X", b"caf\xe9 \xc0\x8a\xe5\x98\x8a\x85"),
    ],
)
@pytest.mark.row("R1")
def test_field_line_is_octets(octets: bytes, name: bytes, value: bytes) -> None:
    line = parse_line(octets)
    assert (line.name, line.value, line.lowered) == (name, value, name.lower())
    assert line.pair == (name.lower(), value)
    assert line.octets == name + b": " + value + b"\r\n"


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        pytest.param(b" Host: evil", "folded", marks=pytest.mark.row("R8")),
        pytest.param(b"\tHost: evil", "folded", marks=pytest.mark.row("R8", "R28")),
        pytest.param(b"Host", "without a colon", marks=pytest.mark.row("R9")),
        pytest.param(b"", "without a colon", marks=pytest.mark.row("R9")),
        pytest.param(b"Content-Length : 5", "before the colon", marks=pytest.mark.row("R25")),
        pytest.param(b"Transfer-Encoding\t: chunked", "before the colon", marks=pytest.mark.row("R25")),
        pytest.param(b": x", "no field name", marks=pytest.mark.row("R9")),
        pytest.param(b"a b: x", "not a token", marks=pytest.mark.row("R9")),
        pytest.param(b"caf\xe9: x", "not a token", marks=pytest.mark.row("R9")),
        pytest.param(b"a\x00: x", "not a token", marks=pytest.mark.row("R31")),
        pytest.param(b"X: a\x00b", "control character in the value of X", marks=pytest.mark.row("R31")),
        pytest.param(b"X: a\rY: b", "control character", marks=pytest.mark.row("R4", "R31")),
        pytest.param(b"X: a\nY: b", "control character", marks=pytest.mark.row("R2", "R31")),
        pytest.param(b"X: \x0bchunked", "control character", marks=pytest.mark.row("R31")),
        pytest.param(b"X: a\x7f", "control character", marks=pytest.mark.row("R31")),
    ],
)
def test_malformed_field_line_says_what_is_wrong(octets: bytes, words: str) -> None:
    with pytest.raises(RemoteViolation, match=words) as caught:
        parse_line(octets)
    assert (caught.value.status, caught.value.reason) == (400, Reason.BAD_SYNTAX)


def test_short_lines_are_remembered_and_long_ones_are_not() -> None:
    short, long = b"X-Remembered: 1", b"Cookie: " + b"c" * 300
    first = parse_lines([short], len(short))
    assert parse_lines([short], len(short))[0] is first[0]
    assert parse_lines([short, long], 2000)[0] is first[0]
    before = remembered_line.cache_info().currsize
    assert parse_lines([long], 2000)[0] is not parse_lines([long], 2000)[0]
    assert remembered_line.cache_info().currsize == before


def test_violation_is_never_remembered() -> None:
    for _ in range(2):
        with pytest.raises(RemoteViolation):
            parse_lines([b"no colon here"], 13)


@pytest.mark.row("R3", "R27", "R39")
@pytest.mark.parametrize("padding", [b"", b"p" * 300], ids=["short", "long"])
@pytest.mark.parametrize(
    "value",
    [b"a\r\nSet-Cookie: x", b"a\rb", b"a\nb", b"a\r\n b", b"a\x00", b"\x1f", b"a\r\n\r\nHTTP/1.1 200 OK"],
)
def test_no_value_can_split_a_head(value: bytes, padding: bytes) -> None:
    with pytest.raises(LocalViolation, match="control character") as caught:
        make_line(b"X-Name", padding + value)
    assert (caught.value.reason, caught.value.status) == (Reason.LOCAL_FAULT, 500)


@pytest.mark.row("R39", "R7")
@pytest.mark.parametrize("name", [b"", b"a b", b" a", b"a:", b"a\r\nb", b"\xe9", b"a\x00"])
def test_no_name_can_split_a_head(name: bytes) -> None:
    with pytest.raises(LocalViolation, match="is not a field name"):
        make_line(name, b"x")


def test_made_line_has_the_spelling_of_its_caller_and_no_white_space_around() -> None:
    line = make_line(b"X-Name", b" \ta b\t ")
    assert line.octets == b"X-Name: a b\r\n"
    assert make_lines([(b"A", b"1"), (b"a", b"2")])[1].octets == b"a: 2\r\n"


@pytest.mark.row("R36")
@pytest.mark.parametrize(
    ("values", "members"),
    [
        ([], []),
        ([b""], []),
        ([b",, close ,"], [b"close"]),
        ([b"Keep-Alive", b"CLOSE,\ttE"], [b"keep-alive", b"close", b"te"]),
        ([b"something-close"], [b"something-close"]),
        ([b",chunked"], [b"chunked"]),
    ],
)
def test_list_of_several_lines_has_no_empty_members(values: list[bytes], members: list[bytes]) -> None:
    assert split_list(values) == members


def facts_of(*lines: tuple[bytes, bytes], version: tuple[int, int] = HTTP_11) -> Facts:
    return gather(version, True, make_lines(lines))


def test_facts_of_a_head_without_anything_special() -> None:
    facts = facts_of((b"Accept", b"*/*"))
    assert (facts.version, facts.is_request) == (HTTP_11, True)
    assert facts.options == facts.proxy_options == frozenset()
    assert facts.lengths == facts.codings == facts.hosts == facts.keep_alive == facts.upgrade == ()
    assert facts.expectations == ()
    assert not facts.trailers_accepted
    assert not facts.idempotency_key


def test_facts_gather_every_line_of_a_kind() -> None:
    facts = facts_of(
        (b"Connection", b"Keep-Alive, TE"),
        (b"CONNECTION", b"upgrade"),
        (b"Content-Length", b"5"),
        (b"Content-Length", b"6"),
        (b"Transfer-Encoding", b"gzip"),
        (b"Host", b"x"),
        (b"Keep-Alive", b"timeout=5"),
        (b"Proxy-Connection", b"Keep-Alive"),
        (b"TE", b"trailers"),
        (b"Upgrade", b"WebSocket, h2c"),
        (b"Expect", b"100-Continue"),
        (b"Idempotency-Key", b'"k"'),
    )
    assert facts.options == {b"keep-alive", b"te", b"upgrade"}
    assert facts.proxy_options == {b"keep-alive"}
    assert facts.lengths == (b"5", b"6")
    assert (facts.codings, facts.hosts) == ((b"gzip",), (b"x",))
    assert facts.keep_alive == (b"timeout=5",)
    assert facts.upgrade == (b"websocket", b"h2c")
    assert facts.expectations == (b"100-continue",)
    assert facts.trailers_accepted
    assert facts.idempotency_key


@pytest.mark.row("R136", "R174")
def test_connection_specific_field_without_its_option_is_no_fact() -> None:
    facts = facts_of((b"Keep-Alive", b"timeout=5"), (b"Upgrade", b"h2c"))
    assert (facts.keep_alive, facts.upgrade) == ((), ())


@pytest.mark.row("R143")
def test_upgrade_in_http_10_is_no_fact() -> None:
    facts = facts_of((b"Connection", b"upgrade"), (b"Upgrade", b"h2c"), version=HTTP_10)
    assert facts.upgrade == ()


def test_equal_heads_share_their_facts_unless_they_are_unusual() -> None:
    usual = ((b"Host", b"shared"), (b"Accept", b"*/*"))
    assert facts_of(*usual) is facts_of(*usual)
    unusual = [(b"Connection", b"a")] * 9
    assert facts_of(*unusual) is not facts_of(*unusual)


def test_every_kind_has_its_name() -> None:
    kinds = {
        getattr(fields_module, name.decode().upper().replace("-", "_")) for name in fields_module.FIELD_KINDS
    }
    assert kinds == set(fields_module.FIELD_KINDS.values())


@pytest.mark.row("R82")
@pytest.mark.parametrize("value", [b"chunked", b"trailers, Chunked", b"chunked;q=0.5"])
def test_te_that_lists_chunked_is_never_made(value: bytes) -> None:
    with pytest.raises(LocalViolation, match="TE lists chunked"):
        make_line(b"TE", value)
    assert make_line(b"TE", b"trailers, deflate;q=0.5").value == b"trailers, deflate;q=0.5"
