"""permessage-deflate: which offers are accepted, and what one message may grow to."""

from __future__ import annotations

import zlib

import pytest
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Message, TextMessage
from wsproto.extensions import Extension, PerMessageDeflate

from perdure.server.deflate import Deflate
from tests.server.frames import BINARY, COMPRESSED, CONTINUATION, PING, TEXT, frame

LARGEST_MESSAGE = 1 << 24


@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        ("permessage-deflate", "permessage-deflate"),
        (" Permessage-Deflate ", "permessage-deflate"),
        ("permessage-deflate; client_max_window_bits", "permessage-deflate"),
        ("permessage-deflate; client_max_window_bits=10", "permessage-deflate"),
        (
            "permessage-deflate; server_max_window_bits=10",
            "permessage-deflate; server_max_window_bits=10",
        ),
        (
            'permessage-deflate; server_max_window_bits = "15"',
            "permessage-deflate; server_max_window_bits=15",
        ),
        (
            "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ),
    ],
)
def test_an_offer_that_can_be_kept_is_accepted_with_its_parameters(offer: str, answer: str) -> None:
    agreed = Deflate.agree(offer, LARGEST_MESSAGE)
    assert agreed is not None
    assert agreed.parameters == answer


@pytest.mark.parametrize(
    "offer",
    [
        "",
        "x-webkit-deflate-frame",
        "permessage-deflate; unknown",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=09",
        "permessage-deflate; client_max_window_bits=abc",
        "permessage-deflate; client_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
        "permessage-deflate;",
    ],
)
def test_an_offer_that_is_unknown_or_malformed_is_declined(offer: str) -> None:
    """RFC 7692 §7.1."""
    assert Deflate.agree(offer, LARGEST_MESSAGE) is None


def connection(offer: str = "permessage-deflate") -> Connection:
    deflate = Deflate.agree(offer, LARGEST_MESSAGE)
    assert deflate is not None
    assert deflate.enabled()
    assert not deflate.offer()
    return Connection(ConnectionType.SERVER, [deflate])


def heard(server: Connection, octets: bytes) -> list[Event]:
    server.receive_data(octets)
    return list(server.events())


def deflated(octets: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(octets) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


@pytest.mark.parametrize(
    "parameters",
    [
        "",
        "; server_no_context_takeover; client_no_context_takeover",
        "; server_max_window_bits=9; client_max_window_bits=9",
    ],
)
def test_another_implementation_understands_it_and_is_understood(parameters: str) -> None:
    theirs = PerMessageDeflate()
    theirs.finalize(f"permessage-deflate{parameters}")
    extensions: list[Extension] = [theirs]
    client = Connection(ConnectionType.CLIENT, extensions)
    server = connection(f"permessage-deflate{parameters}")
    for data in ("", "", "abc", "abc" * 1000, "€" * 70000):
        got = heard(server, client.send(TextMessage(data)))
        assert "".join(event.data for event in got if isinstance(event, TextMessage)) == data
        client.receive_data(server.send(TextMessage(data)))
        assert "".join(event.data for event in client.events() if isinstance(event, TextMessage)) == data


def test_a_ping_between_two_fragments_does_not_end_the_compression() -> None:
    octets = deflated(b"one message in two frames")
    server = connection()
    first = frame(TEXT, octets[:9], fin=False, bits=COMPRESSED)
    got = heard(server, first + frame(PING) + frame(CONTINUATION, octets[9:]))
    words = "".join(event.data for event in got if isinstance(event, TextMessage))
    assert words == "one message in two frames"


def test_a_message_may_end_its_stream_and_the_next_one_begins_another() -> None:
    """RFC 7692 §7.2.3.4."""
    compressor = zlib.compressobj(wbits=-15)
    octets = compressor.compress(b"whole") + compressor.flush(zlib.Z_FINISH) + b"\x00"
    server = connection()
    for message in (octets, octets, deflated(b"whole")):
        got = heard(server, frame(BINARY, message, bits=COMPRESSED))
        assert b"".join(event.data for event in got if isinstance(event, BytesMessage)) == b"whole"


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (frame(TEXT, b"\xff\xff\xff", bits=COMPRESSED), 1007),
        (frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b", bits=COMPRESSED), 1002),
        (frame(PING, b"b", bits=COMPRESSED), 1002),
        (frame(TEXT, b"a", bits=0x20), 1002),
        (frame(BINARY, deflated(bytes(LARGEST_MESSAGE + 1)), bits=COMPRESSED), 1009),
    ],
)
def test_what_cannot_be_decompressed_is_a_close_with_its_code(octets: bytes, code: int) -> None:
    got = heard(connection(), octets)
    assert isinstance(got[-1], CloseConnection)
    assert got[-1].code == code


@pytest.mark.slow
def test_little_that_stands_for_much_is_not_decompressed_beyond_what_a_message_may_have() -> None:
    compressor = zlib.compressobj(wbits=-15)
    mebibyte = bytes(1 << 20)
    bomb = b"".join(compressor.compress(mebibyte) for _ in range(256)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    server = connection()
    size = 0
    for event in heard(server, frame(BINARY, bomb, bits=COMPRESSED)):
        if isinstance(event, Message):
            size += len(event.data)
    assert len(bomb) < 1 << 19
    assert size <= LARGEST_MESSAGE


def test_the_largest_message_is_still_taken() -> None:
    got = heard(connection(), frame(BINARY, deflated(bytes(LARGEST_MESSAGE)), bits=COMPRESSED))
    assert sum(len(event.data) for event in got if isinstance(event, BytesMessage)) == LARGEST_MESSAGE
