"""docs/gateways.md tells of perdure what is so, and perdure is right in every row.

Its columns are asked again over real sockets, of programs in processes of their own, by the functions that
filled the table.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from functools import cache

import pytest

from bench.matrix import page
from bench.matrix.asking import Asking
from bench.matrix.cell import fate, own_answer, place_of, with_place
from bench.matrix.measure import measure
from bench.matrix.origin import Heard, Origin, Script, Talk, answer, serving
from bench.matrix.row import Row
from bench.matrix.rows import GROUPS, ROWS
from bench.matrix.subjects import OURS, SUBJECTS, Subject
from bench.servers.raw import Answer, conversation
from bench.written import BREACH


@cache
def measured(subject: Subject, group: str) -> dict[str, str]:
    """The cells of one column and table: a proxy and an origin for each, most of which wait."""
    return measure(subject, [row for row in ROWS if row.group == group])


@pytest.mark.slow
@pytest.mark.parametrize("subject", OURS, ids=lambda subject: str(subject.name))
@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.name))
@pytest.mark.row("R86", "R107", "R124", "R131", "R133", "S7", "S8", "S11", "S12", "S16")
def test_perdure_is_right_in_every_row(row: Row, subject: Subject) -> None:
    found = measured(subject, row.group)[row.name]
    assert row.agrees(found, subject.forward), f"expected {row.wanted_for(subject.forward)}, got {found}"
    assert page.read_cells()[row.name, subject.name] == found


def test_the_page_has_a_cell_for_every_row_and_proxy() -> None:
    cells = page.read_cells()
    assert set(cells) == {(row.name, one.name) for row in ROWS for one in SUBJECTS}
    assert page.NOT_MEASURED not in cells.values()
    assert not [place for place, cell in cells.items() if "could not" in cell]


def test_the_page_says_how_many_rows_each_proxy_agrees_with() -> None:
    assert page.agreements(page.read_cells()) in page.PAGE.read_text(encoding="utf-8")


def test_the_page_finds_no_fault_with_perdure() -> None:
    cells = page.read_cells()
    wrong = {
        row.name for row in ROWS for one in OURS if not row.agrees(cells[row.name, one.name], one.forward)
    }
    assert not wrong


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.name))
def test_a_row_can_be_chosen_shown_and_found_again(row: Row) -> None:
    assert row.group in GROUPS
    assert [one.name for one in ROWS if one.name == row.name] == [row.name]
    assert [one.name for one in ROWS if (one.group, one.title) == (row.group, row.title)] == [row.name]
    assert "|" not in row.title
    assert row.wanted
    assert row.source


def test_what_was_written_is_read_back(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    row = next(row for row in ROWS if row.name == "race-post")
    cells = {(row.name, one.name): "200, sent twice" for one in SUBJECTS}
    text = f"## {row.group}\n\n{page.group_table(row.group, cells)}"
    assert f"| {BREACH}200, sent twice |" in text

    class Page:
        def is_file(self) -> bool:
            return True

        def read_text(self, encoding: str) -> str:
            return text

    monkeypatch.setattr(page, "PAGE", Page())
    found = {place: cell for place, cell in page.read_cells().items() if place[0] == row.name}
    assert found == cells


# What the origin hears


@contextlib.contextmanager
def dialled(*scripts: Script) -> Iterator[tuple[Origin, socket.socket]]:
    """An origin, and a connection to it without a proxy between."""
    with serving(scripts) as origin, socket.create_connection(("127.0.0.1", origin.port), 5) as connection:
        yield origin, connection


def answered(connection: socket.socket, octets: bytes) -> bytes:
    connection.sendall(octets)
    return connection.recv(65536)


def test_the_origin_answers_with_the_path_and_keeps_head_and_content() -> None:
    with dialled() as (origin, connection):
        said = answered(
            connection, b"POST /row/1 HTTP/1.1\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 5\r\n\r\nhello"
        )
    assert said == b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n/row/1"
    (heard,) = origin.of("/row/1")
    assert (heard.method, heard.content, heard.whole) == ("POST", b"hello", True)
    assert heard.lines("X-A") == ["1", "2"]


def test_the_origin_reads_chunks_and_their_trailers() -> None:
    with dialled() as (origin, connection):
        head = b"POST /row/1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        answered(connection, head + b"2\r\nhe\r\n3;a=b\r\nllo\r\n0\r\nX-T: 1\r\n\r\n")
    (heard,) = origin.of("/row/1")
    assert (heard.content, heard.whole, heard.trailers) == (b"hello", True, "X-T: 1\r\n")


def test_chunks_that_are_none_are_told_as_not_whole() -> None:
    with dialled() as (origin, connection):
        head = b"POST /row/1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        answered(connection, head + b"2\r\nhe\r\nzz\r\n")
    assert not origin.of("/row/1")[0].whole


def test_a_connection_counts_from_its_first_request_and_readiness_does_not_count() -> None:
    with dialled() as (origin, connection):
        answered(connection, b"GET http://origin/ready HTTP/1.1\r\n\r\n")
        with socket.create_connection(("127.0.0.1", origin.port), 5) as second:
            answered(second, b"GET http://origin/row/1 HTTP/1.1\r\n\r\n")
            answered(second, b"GET /row/2 HTTP/1.1\r\n\r\n")
    assert [(one.path, one.connection, one.place) for one in origin.heard] == [
        ("/row/1", 0, 0),
        ("/row/2", 0, 1),
    ]


def test_the_first_connection_plays_the_first_script() -> None:
    def script(talk: Talk) -> None:
        talk.request()
        talk.say(b"garbage")

    with dialled(script) as (_, connection):
        assert answered(connection, b"GET /row/1 HTTP/1.1\r\n\r\n") == b"garbage"


# What a cell says


def asking() -> Asking:
    class Nowhere:
        port = 1

    return Asking("row", 1, Nowhere(), False)  # type: ignore[arg-type]  # only its port is looked at


@pytest.mark.parametrize(
    ("got", "told"),
    [
        (Answer(200, content=b"/row/1", whole=True), "200"),
        (Answer(200, content=b"evil", whole=True), "foreign answer"),
        (Answer(200, content=b"/ro", whole=False), "cut off"),
        (Answer(502, content=b"", whole=True), "502"),
        (Answer(), "no answer"),
    ],
)
def test_a_cell_tells_whose_answer_it_was(got: Answer, told: str) -> None:
    assert own_answer(asking(), got, 1) == told


@pytest.mark.parametrize(
    ("places", "told", "raced"),
    [
        ([], "not sent", "200, not sent"),
        ([0], "fresh", "200 on a fresh connection, sent once"),
        ([1], "reused", "200, sent once"),
        ([1, 0], "fresh, sent twice", "200, sent twice"),
        ([1, 1, 0], "fresh, sent 3 times", "200, sent 3 times"),
    ],
)
def test_a_cell_tells_where_and_how_often_a_request_was_sent(
    places: list[int], told: str, raced: str
) -> None:
    heard = [Heard(number, place, "GET / HTTP/1.1") for number, place in enumerate(places)]
    assert place_of(heard) == told
    assert with_place("200", heard) == raced


def test_a_cell_tells_what_became_of_the_connection() -> None:
    def ends(talk: Talk) -> None:
        heard = talk.request()
        assert heard is not None
        talk.say(answer(heard, "Connection: close"))

    with serving([ends]) as origin, conversation(origin.port) as talk:
        talk.send(b"GET /row/1 HTTP/1.1\r\n\r\n")
        assert fate(talk, talk.answer()) == "200, says close, closes"
