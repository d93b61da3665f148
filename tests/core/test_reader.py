"""The reader alone: buffers, limits to the octet, and cuts that change nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure.core import Data, EndOfMessage, Event, Framing, FramingKind, Limits, Reason, RemoteViolation
from perdure.core.framing import CHUNKED, NO_CONTENT, TUNNEL, UNTIL_CLOSE
from perdure.core.reader import Phase, Reader
from tests.core.harness import Content, End, Pieces, cut, every_way, normalise

LIMITS = Limits(max_line=20, max_fields=3, max_head=40, max_chunk_extensions=8, max_body=10)
HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def reader_at(framing: Framing, limits: Limits = LIMITS) -> Reader:
    """A reader that expects content framed so."""
    reader = Reader(limits)
    reader.begin(framing)
    return reader


def read(reader: Reader, *pieces: bytes) -> list[Event]:
    events: list[Event] = []
    for piece in pieces:
        reader.push(piece)
        reader.read_content(events)
    return events


def heads_in(octets: bytes) -> list[bytes]:
    """The head found, however the octets are cut; [] if none is complete."""
    found: list[list[bytes]] = []
    for pieces in every_way(octets):
        reader = Reader(LIMITS)
        heads: list[bytes] = []
        for piece in pieces:
            reader.push(piece)
            reader.skip_empty_lines()
            if not heads and (head := reader.take_head(414)) is not None:
                heads.append(head)
        found.append(heads)
    assert all(heads == found[0] for heads in found)
    return found[0]


def refusal_of_head(octets: bytes) -> set[tuple[int, Reason]]:
    """(status, reason) of each way to cut the octets."""
    refusals = set()
    for pieces in every_way(octets):
        with pytest.raises(RemoteViolation) as caught:
            push_all(Reader(LIMITS), pieces)
        refusals.add((caught.value.status, caught.value.reason))
    return refusals


def push_all(reader: Reader, pieces: Pieces) -> None:
    for piece in pieces:
        reader.push(piece)
        reader.skip_empty_lines()
        reader.take_head(414)


# Heads


@pytest.mark.row("R32")
def test_head_is_handed_out_only_when_it_is_complete() -> None:
    assert heads_in(HEAD) == [HEAD[:-4]]
    for length in range(len(HEAD)):
        assert heads_in(HEAD[:length]) == []


@pytest.mark.row("R6")
@pytest.mark.parametrize(
    ("lines", "head"), [(0, HEAD[:-4]), (1, HEAD[:-4]), (2, HEAD[:-4]), (3, b"\r\n" + HEAD[:-4])]
)
def test_two_empty_lines_before_a_head_are_ignored(lines: int, head: bytes) -> None:
    assert heads_in(b"\r\n" * lines + HEAD) == [head]


def test_heads_that_came_together_are_taken_one_by_one() -> None:
    reader = Reader(LIMITS)
    reader.push(HEAD + b"\r\n" + HEAD)
    assert reader.take_head(414) == HEAD[:-4]
    assert reader.waiting_octets == len(HEAD) + 2
    reader.skip_empty_lines()
    assert reader.take_head(414) == HEAD[:-4]
    assert reader.take_head(414) is None
    assert reader.waiting_octets == 0


@pytest.mark.row("R33")
def test_head_of_the_most_octets_is_taken_however_it_is_cut() -> None:
    head = b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 12
    assert len(head) == 40
    assert heads_in(head + b"\r\n\r\n") == [head]
    assert refusal_of_head(head + b"a\r\n\r\n") == {(431, Reason.TOO_LARGE)}


@pytest.mark.row("R15")
@pytest.mark.parametrize("octets", [22, 30, 41, 100])
def test_first_line_that_is_too_long_is_refused_before_anything_else(octets: int) -> None:
    assert refusal_of_head(b"a" * octets) == {(414, Reason.TOO_LARGE)}


@pytest.mark.row("R15")
def test_head_that_came_at_once_is_measured_by_its_first_line_first() -> None:
    reader = Reader(LIMITS)
    reader.push(b"GET /" + b"a" * 100 + b" HTTP/1.1\r\n\r\n")
    with pytest.raises(RemoteViolation) as caught:
        reader.take_head(414)
    assert (caught.value.status, caught.value.reason) == (414, Reason.TOO_LARGE)


@pytest.mark.row("R15")
def test_first_line_of_the_most_octets_waits_for_its_end() -> None:
    reader = Reader(LIMITS)
    reader.push(b"a" * 20 + b"\r")
    assert reader.take_head(414) is None
    reader.push(b"\n\r\n")
    assert reader.take_head(414) == b"a" * 20


@pytest.mark.row("R33")
def test_field_line_that_is_too_long_is_refused_before_its_end() -> None:
    assert refusal_of_head(b"a\r\n" + b"X: " + b"b" * 19) == {(431, Reason.TOO_LARGE)}
    reader = Reader(LIMITS)
    reader.push(b"a\r\n" + b"X: " + b"b" * 17 + b"\r")
    assert reader.take_head(414) is None


@pytest.mark.row("R33")
def test_head_that_is_too_large_is_refused_before_its_end() -> None:
    assert refusal_of_head(b"a\r\n" * 15) == {(431, Reason.TOO_LARGE)}


@pytest.mark.row("R2", "R9")
@pytest.mark.parametrize(
    "octets", [b"GET / HTTP/1.1\n", b"a\r\nb\n", b"\n", b"\x16\x03\x01", b" GET", b"\x80", b"\x00"]
)
def test_octets_that_cannot_become_a_head_are_refused_at_once(octets: bytes) -> None:
    assert refusal_of_head(octets) == {(400, Reason.BAD_SYNTAX)}


# Content


def test_content_of_a_known_length_is_not_copied_where_it_is_all_there_is() -> None:
    octets = b"hello"
    (event,) = read(reader_at(Framing(FramingKind.LENGTH, 5)), octets)
    assert isinstance(event, Data)
    assert event.octets is octets
    assert event.end


def test_content_comes_as_it_comes_and_what_follows_stays() -> None:
    reader = reader_at(Framing(FramingKind.LENGTH, 5))
    events = read(reader, b"he", b"", b"l", b"loGET")
    assert [(event.octets, event.end) for event in events if isinstance(event, Data)] == [
        (b"he", False),
        (b"l", False),
        (b"lo", True),
    ]
    assert (reader.phase, reader.peek(10), reader.remaining) == (Phase.DONE, b"GET", 0)
    read(reader, b" /")
    assert reader.take_rest() == b"GET /"
    assert reader.waiting_octets == 0


def test_nothing_is_read_where_no_content_is_expected() -> None:
    reader = reader_at(NO_CONTENT)
    assert read(reader, b"next") == []
    reader.skip(2)
    assert reader.peek(9) == b"xt"
    assert reader.phase is Phase.DONE


@pytest.mark.parametrize("framing", [UNTIL_CLOSE, TUNNEL])
def test_content_until_close_has_no_end_of_its_own(framing: Framing) -> None:
    reader = reader_at(framing)
    assert normalise(read(reader, b"a", b"", b"bc")) == (Content(b"abc"),)
    assert reader.phase is Phase.UNTIL_CLOSE


def content_of(octets: bytes) -> tuple[Content, ...]:
    return (Content(octets),) if octets else ()


def chunked_every_way(octets: bytes, limits: Limits = LIMITS) -> tuple[object, ...]:
    """Normal events of chunked content, however it is cut."""
    results = []
    for pieces in every_way(octets):
        reader = reader_at(CHUNKED, limits)
        results.append((normalise(read(reader, *pieces)), reader.phase))
    assert all(result == results[0] for result in results)
    return results[0]


def refusal_of_chunks(octets: bytes, limits: Limits = LIMITS) -> set[tuple[int, Reason]]:
    refusals = set()
    for pieces in every_way(octets):
        with pytest.raises(RemoteViolation) as caught:
            read(reader_at(CHUNKED, limits), *pieces)
        refusals.add((caught.value.status, caught.value.reason))
    return refusals


@pytest.mark.row("R40", "R76")
@pytest.mark.parametrize(
    ("octets", "content", "trailers"),
    [
        (b"0\r\n\r\n", b"", ()),
        (b"5\r\nhello\r\n0\r\n\r\n", b"hello", ()),
        (b"0002\r\nhe\r\n03\r\nllo\r\n000\r\n\r\n", b"hello", ()),
        (b"a\r\n0123456789\r\n0\r\n\r\n", b"0123456789", ()),
        (b"0000000000000001\r\n\n\r\n0\r\n\r\n", b"\n", ()),
        (b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n", ()),
        (b"0\r\nA: 1\r\nb:  2 \r\n\r\n", b"", ((b"A", b"1"), (b"b", b"2"))),
        (b"1\r\nx\r\n0\r\nA: 1\r\n\r\n", b"x", ((b"A", b"1"),)),
    ],
)
def test_chunked_content(octets: bytes, content: bytes, trailers: tuple[tuple[bytes, bytes], ...]) -> None:
    assert chunked_every_way(octets) == ((*content_of(content), End(trailers)), Phase.DONE)


def test_chunks_that_came_together_are_one_event() -> None:
    (event,) = read(reader_at(CHUNKED), b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n")
    assert isinstance(event, Data)
    assert (event.octets, event.end) == (b"hello", True)
    content, end = read(reader_at(CHUNKED), b"1\r\nx\r\n0\r\nA: 1\r\n\r\n")
    assert (type(content), content.end, type(end)) == (Data, False, EndOfMessage)


@pytest.mark.row("R77")
@pytest.mark.parametrize(
    ("extensions", "refused"), [(b";abcdefg", False), (b";abcdefgh", True), (b" ; a=b ", False)]
)
def test_chunk_extensions_are_ignored_up_to_their_limit(extensions: bytes, refused: bool) -> None:
    octets = b"0" * 15 + b"1" + extensions + b"\r\nx\r\n0\r\n\r\n"
    if refused:
        # longer than any size line: whether it has an end or not
        assert refusal_of_chunks(octets) == {(400, Reason.FAULTY_FRAMING)}
    else:
        assert chunked_every_way(octets)[0] == (Content(b"x"), End(()))


@pytest.mark.row("R77")
def test_chunk_extensions_of_a_message_are_counted_together() -> None:
    assert chunked_every_way(b"1;abc\r\nx\r\n0;abc\r\n\r\n")[1] is Phase.DONE
    assert refusal_of_chunks(b"1;abc\r\nx\r\n0;abcd\r\n\r\n") == {(400, Reason.TOO_LARGE)}


def test_content_of_the_most_octets_is_taken_and_more_is_refused_by_its_size() -> None:
    assert chunked_every_way(b"6\r\nabcdef\r\n4\r\nabcd\r\n0\r\n\r\n")[1] is Phase.DONE
    assert refusal_of_chunks(b"6\r\nabcdef\r\n5\r\n") == {(413, Reason.TOO_LARGE)}


@pytest.mark.row("R78")
@pytest.mark.parametrize(
    ("trailers", "refusal"),
    [
        (b"A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n\r\n", (431, Reason.TOO_LARGE)),
        (b"A: " + b"a" * 18 + b"\r\n\r\n", (431, Reason.TOO_LARGE)),
        (b"A: 1\r\nB: " + b"b" * 18 + b"\r\n\r\n", (431, Reason.TOO_LARGE)),
        (b"A: 123456789\r\nB: 123456789\r\nC: 123456789a\r\n\r\n", (431, Reason.TOO_LARGE)),
        (b"A: 1\nB: 2\r\n\r\n", (400, Reason.BAD_SYNTAX)),
        (b" A: 1\r\n\r\n", (400, Reason.BAD_SYNTAX)),
        (b"A: 1\r\n folded\r\n\r\n", (400, Reason.BAD_SYNTAX)),
        (b"A : 1\r\n\r\n", (400, Reason.BAD_SYNTAX)),
        (b"A\r\n\r\n", (400, Reason.BAD_SYNTAX)),
        (b"\rA: 1\r\n\r\n", (400, Reason.BAD_SYNTAX)),
    ],
)
def test_trailer_section_is_held_to_the_rules_of_a_head(trailers: bytes, refusal: tuple[int, Reason]) -> None:
    assert refusal_of_chunks(b"0\r\n" + trailers) == {refusal}


def test_trailer_section_of_the_most_octets_is_taken_however_it_is_cut() -> None:
    section = b"A: 1234567890\r\nB: 1234567890\r\nC: 1234567"
    assert len(section) == 40
    assert chunked_every_way(b"0\r\n" + section + b"\r\n\r\n")[1] is Phase.DONE


# Cuts


@settings(max_examples=150)
@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=6),
    st.lists(st.integers(0, 400), max_size=12),
    st.booleans(),
)
def test_chunked_content_is_what_was_written_however_it_is_cut(
    chunks: list[bytes], places: list[int], trailer: bool
) -> None:
    octets = b"".join(b"%X;e=f\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    octets += b"0\r\nT: v\r\n\r\n" if trailer else b"0\r\n\r\n"
    pieces = cut(octets, *[place % (len(octets) + 1) for place in places])
    events = normalise(read(reader_at(CHUNKED, Limits()), *pieces))
    end = End(((b"T", b"v"),) if trailer else ())
    assert events == (*content_of(b"".join(chunks)), end)


@settings(max_examples=150)
@given(st.lists(st.binary(max_size=30), max_size=12))
def test_every_octet_is_either_handed_out_or_waiting(pieces: list[bytes]) -> None:
    reader = Reader(LIMITS)
    skipped = b""
    for place, piece in enumerate(pieces):
        reader.push(piece)
        if place % 3 == 1:
            skipped += reader.peek(3)
            reader.skip(min(3, reader.waiting_octets))
    assert skipped + reader.take_rest() == b"".join(pieces)


# The commonest delivery: one head and nothing but it


def test_whole_head_needs_no_buffer() -> None:
    reader = Reader(LIMITS)
    assert reader.is_whole_head(HEAD, 40)
    assert reader.waiting_octets == 0


@pytest.mark.parametrize(
    "octets",
    [
        HEAD[:-1],
        HEAD + b"x",
        HEAD + HEAD,
        b"\r\n" + HEAD,
        b" " + HEAD,
        b"",
        b"\r\n\r\n",
        b"a\r\n\r\n\r\n\r\n",
        b"a" * 41,
    ],
)
def test_anything_else_is_left_to_be_pushed(octets: bytes) -> None:
    reader = Reader(LIMITS)
    assert not reader.is_whole_head(octets, 40)
    assert reader.waiting_octets == 0


def test_head_is_not_whole_while_other_octets_wait_or_where_it_is_long() -> None:
    reader = Reader(LIMITS)
    assert reader.is_whole_head(HEAD, len(HEAD) - 4)
    assert not reader.is_whole_head(HEAD, len(HEAD) - 5)
    reader.push(b"G")
    assert not reader.is_whole_head(HEAD, 40)


@pytest.mark.row("R6")
def test_empty_lines_are_counted_anew_after_each_head() -> None:
    reader = Reader(LIMITS)
    reader.push(b"\r\n\r\n")
    reader.skip_empty_lines()
    assert reader.is_whole_head(HEAD, 40)
    reader.push(b"\r\n\r\n" + HEAD)
    reader.skip_empty_lines()
    assert reader.take_head(414) == HEAD[:-4]
