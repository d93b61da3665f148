"""The PROXY protocol, versions 1 and 2: literal octets of its specification's examples and edges."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.core import RemoteViolation
from perdure.core.proxy_protocol import LONGEST_LINE, SIGNATURE, ProxyHeader, format_header, parse

LINE_4 = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"
BLOCK_4 = SIGNATURE + b"\x21\x11\x00\x0c\xc0\x00\x02\x07\xc6\x33\x64\x01\xdc\x04\x01\xbb"
SAID = (("192.0.2.7", 56324), ("198.51.100.1", 443))


@pytest.mark.parametrize("octets", [LINE_4, BLOCK_4], ids=["version 1", "version 2"])
def test_both_versions_say_the_same_of_the_same_connection(octets: bytes) -> None:
    assert parse(octets + b"GET / HTTP/1.1\r\n") == ProxyHeader(*SAID, len(octets))


@pytest.mark.parametrize("octets", [LINE_4, BLOCK_4], ids=["version 1", "version 2"])
def test_it_is_incomplete_until_its_last_octet(octets: bytes) -> None:
    assert [parse(octets[:length]) for length in range(1, len(octets))] == [None] * (len(octets) - 1)


def test_ipv6_addresses_are_read() -> None:
    line = b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n"
    assert parse(line) == ProxyHeader(("2001:db8::1", 1), ("::1", 65535), len(line))


@pytest.mark.parametrize(
    "octets",
    [
        b"PROXY UNKNOWN\r\n",
        b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n",
        SIGNATURE + b"\x20\x00\x00\x00",
        SIGNATURE + b"\x21\x31\x00\x02ab",
    ],
    ids=["unknown", "unknown with words", "local", "unix"],
)
def test_a_connection_of_the_senders_own_names_no_addresses(octets: bytes) -> None:
    assert parse(octets) == ProxyHeader(None, None, len(octets))


def test_type_length_values_after_the_addresses_are_skipped() -> None:
    octets = SIGNATURE + b"\x21\x11\x00\x11" + BLOCK_4[16:] + b"\x04\x00\x02ab"
    assert parse(octets) == ProxyHeader(*SAID, len(octets))


@pytest.mark.parametrize(
    "octets",
    [
        b"GET / HTTP/1.1\r\n",
        b"POST / HTTP/1.1\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 65536\r\n",
        b"PROXY TCP4 ::1 ::1 1 2\r\n",
        b"PROXY TCP4 192.0.2.300 198.51.100.1 1 2\r\n",
        b"PROXY UDP4 192.0.2.7 198.51.100.1 1 2\r\n",
        b"PROXY " + b"x" * LONGEST_LINE,
        SIGNATURE + b"\x11\x11\x00\x0c" + bytes(12),
        SIGNATURE + b"\x21\x11\xff\xff",
        SIGNATURE + b"\x21\x11\x00\x04" + bytes(4),
        b"\r\n\r\n\x00\r\nQUIX",
    ],
)
def test_anything_else_is_a_violation(octets: bytes) -> None:
    with pytest.raises(RemoteViolation, match="PROXY protocol"):
        parse(octets)


ports = st.integers(0, 65535)
pairs = st.one_of(
    st.tuples(
        st.tuples(st.ip_addresses(v=4).map(str), ports), st.tuples(st.ip_addresses(v=4).map(str), ports)
    ),
    st.tuples(
        st.tuples(st.ip_addresses(v=6).map(str), ports), st.tuples(st.ip_addresses(v=6).map(str), ports)
    ),
)


@given(pairs, st.sampled_from([1, 2]))
def test_what_is_written_is_read_back(pair: tuple[tuple[str, int], tuple[str, int]], version: int) -> None:
    octets = format_header(*pair, version)
    assert parse(octets) == ProxyHeader(*pair, len(octets))


@pytest.mark.parametrize("version", [1, 2])
def test_unknown_or_unlike_addresses_are_written_as_unknown(version: int) -> None:
    for source, destination in [(None, None), (("::1", 1), ("127.0.0.1", 2))]:
        octets = format_header(source, destination, version)
        assert parse(octets) == ProxyHeader(None, None, len(octets))


@given(st.binary(max_size=200))
def test_no_octets_raise_anything_but_a_violation(octets: bytes) -> None:
    try:
        header = parse(b"P" + octets)
    except RemoteViolation:
        return
    assert header is None or header.octets <= len(octets) + 1
