"""The same octets through perdure, llhttp and h11: who differs is written down, and why.

A vector fails if we read something else than it says, or if a judge does: a difference that goes
away is news too. The vectors are drawn from the rows and from the known ways to make two parsers
disagree about where a message ends (request smuggling, response splitting, desynchronisation).
"""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure.core import ClientConnection, Data, EndOfMessage, Request, Response, ServerConnection, make_lines
from tests.core import judges
from tests.core.harness import (
    Outcome,
    every_way,
    only,
    read_requests,
    read_responses,
    requests_every_way,
    responses_every_way,
)

FOLDER = Path(__file__).parent.parent / "vectors"


class Vector(NamedTuple):
    """One row of tests/vectors; the head of each file says what the columns mean."""

    name: str
    octets: bytes
    eof: bool
    methods: list[bytes]
    reads: list[str]
    kinds: list[str]
    status: int | None
    differs: dict[str, list[str]]
    because: dict[str, str]
    rows: list[str]


def vectors_of(side: str) -> list[Vector]:
    with (FOLDER / f"{side}.toml").open("rb") as file:
        table = tomllib.load(file)["vector"]
    return [
        Vector(
            name=row["name"],
            octets=row["octets"].encode("latin-1"),
            eof=row.get("eof", False),
            methods=[method.encode() for method in row.get("methods", [])],
            reads=row["reads"],
            kinds=row["kinds"],
            status=row.get("status"),
            differs={judge: row[judge] for judge in ("llhttp", "h11") if judge in row},
            because={
                judge: row[f"{judge}_because"] for judge in ("llhttp", "h11") if f"{judge}_because" in row
            },
            rows=row["rows"],
        )
        for row in table
    ]


REQUESTS, RESPONSES = vectors_of("requests"), vectors_of("responses")


def parameters(vectors: list[Vector]) -> list[object]:
    return [pytest.param(vector, id=vector.name, marks=pytest.mark.row(*vector.rows)) for vector in vectors]


def assert_ours(vector: Vector, outcome: Outcome) -> None:
    assert judges.words_of_ours(outcome) == vector.reads
    assert [head.kind.name for head in outcome.heads] == vector.kinds
    assert outcome.status == vector.status


@pytest.mark.parametrize("vector", parameters(REQUESTS))
def test_request_is_read_as_recorded(vector: Vector) -> None:
    assert_ours(vector, requests_every_way(vector.octets, eof=vector.eof))


@pytest.mark.parametrize("vector", parameters(RESPONSES))
def test_response_is_read_as_recorded(vector: Vector) -> None:
    assert_ours(vector, responses_every_way(vector.octets, vector.methods, eof=vector.eof))


@pytest.mark.parametrize("vector", parameters(REQUESTS))
def test_judges_read_the_request_as_recorded(vector: Vector) -> None:
    assert judges.llhttp_requests(vector.octets) == vector.differs.get("llhttp", vector.reads)
    assert judges.h11_requests(vector.octets, vector.eof) == vector.differs.get("h11", vector.reads)


@pytest.mark.parametrize("vector", parameters(RESPONSES))
def test_judges_read_the_response_as_recorded(vector: Vector) -> None:
    assert judges.llhttp_responses(vector.octets) == vector.differs.get("llhttp", vector.reads)
    read = judges.h11_responses(vector.octets, vector.methods, vector.eof)
    assert read == vector.differs.get("h11", vector.reads)


@pytest.mark.parametrize("vectors", [REQUESTS, RESPONSES], ids=["requests", "responses"])
def test_every_difference_has_a_reason_and_every_vector_a_name(vectors: list[Vector]) -> None:
    for vector in vectors:
        assert set(vector.because) == set(vector.differs)
        assert vector.reads not in vector.differs.values(), f"{vector.name}: that is no difference"
        assert (vector.status is not None) == (judges.REFUSED in vector.reads)
    assert not [name for name, count in Counter(vector.name for vector in vectors).items() if count > 1]


def test_there_are_enough_vectors_to_mean_something() -> None:
    assert len(REQUESTS) >= 120
    assert len(RESPONSES) >= 50


# What we send is read by both judges as we meant it.

TOKENS = st.sampled_from([b"X-A", b"x-b", b"Accept", b"ETag"])
VALUES = st.text('abc xyz,;="/\xe9\t', max_size=12).map(lambda text: text.encode("latin-1"))
FIELDS = st.lists(st.tuples(TOKENS, VALUES), max_size=4)
METHODS = st.sampled_from([b"GET", b"POST", b"PUT", b"DELETE"])
PIECES = st.lists(st.binary(min_size=1, max_size=20), max_size=3)


@settings(max_examples=60)
@given(METHODS, FIELDS, PIECES, st.booleans())
@pytest.mark.row("R37")
def test_judges_read_every_request_of_ours(
    method: bytes, fields: list[tuple[bytes, bytes]], pieces: list[bytes], whole: bool
) -> None:
    client = ClientConnection()
    client.peer_speaks_11 = True
    lines = make_lines([(b"Host", b"x"), *fields])
    content = b"".join(pieces)
    if whole:
        octets = client.send_whole(Request(method, b"/", lines), content)
    else:
        octets = client.send(Request(method, b"/", lines, end=False))
        octets += b"".join(client.send(Data(piece)) for piece in pieces) + client.send(EndOfMessage())
    expected = [judges.words_of(f"{method.decode()} /", content)]
    assert judges.llhttp_requests(octets) == judges.h11_requests(octets, False) == expected
    assert judges.words_of_ours(read_requests([octets])) == expected


@settings(max_examples=60)
@given(st.sampled_from([200, 204, 205, 304, 404, 299]), FIELDS, PIECES, st.booleans())
@pytest.mark.row("R37")
def test_judges_read_every_response_of_ours(
    status: int, fields: list[tuple[bytes, bytes]], pieces: list[bytes], whole: bool
) -> None:
    server = ServerConnection()
    server.receive(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    content = b"".join(pieces)
    if whole:
        octets = server.send_whole(Response(status, make_lines(fields)), content)
    else:
        octets = server.send(Response(status, make_lines(fields), end=False))
        octets += b"".join(server.send(Data(piece)) for piece in pieces) + server.send(EndOfMessage())
    expected = [judges.words_of(str(status), b"" if status in (204, 205, 304) else content)]
    assert judges.llhttp_responses(octets) == judges.h11_responses(octets, [b"GET"], False) == expected
    assert judges.words_of_ours(only(read_responses(pieces) for pieces in every_way(octets))) == expected
