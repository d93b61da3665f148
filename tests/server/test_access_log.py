"""Lines of the access log: what they say, what they never let through, and that they come in batches."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from perdure.core import Error, Reason, Request, make_lines
from perdure.server.access_log import (
    BATCH_RECORDS,
    BATCH_SECONDS,
    AccessLog,
    CloseRecord,
    ExchangeRecord,
    Format,
    as_json,
    combined,
    open_access_log,
)
from perdure.wire.network import Network
from perdure.wire.virtual import run_virtual
from tests.server.stand import Gated, answer_from, hello, serving
from tests.wire.conftest import Play

AT = 1_800_000_000.25
REQUEST = Request(
    b"GET", b"/a?b=c", make_lines([(b"Host", b"x"), (b"User-Agent", b"curl/8"), (b"Referer", b"http://y/")])
)
EXCHANGE = ExchangeRecord(AT, ("192.0.2.7", 5), REQUEST, 200, 11, 7, 3, 0.000412)
CLOSE = CloseRecord(AT, ("192.0.2.7", 5), 7, 3, 75.94, Reason.IDLE_LIMIT)


def test_an_exchange_is_a_combined_line_and_three_words_about_its_connection() -> None:
    line = combined(EXCHANGE)
    assert line.startswith("192.0.2.7 - - [15/Jan/2027:")
    assert line.endswith('] "GET /a?b=c HTTP/1.1" 200 11 "http://y/" "curl/8" 7 3 0.000412\n')


def test_a_close_is_a_comment_with_its_reason() -> None:
    assert combined(CLOSE) == (
        "# connection 7 closed after 3 requests, 75.9 s idle: idle limit reached (9112 §9.5)\n"
    )


def test_absent_fields_and_addresses_are_dashes() -> None:
    record = EXCHANGE._replace(client=None, request=Request(b"GET", b"/", make_lines([(b"Host", b"x")])))
    line = combined(record)
    assert line.startswith("- - - [")
    assert '"-" "-" 7 3' in line


def test_a_unix_socket_is_named_by_its_path() -> None:
    assert combined(EXCHANGE._replace(client="/run/a.sock")).startswith("unix:/run/a.sock - - [")


@pytest.mark.parametrize(
    ("value", "written"),
    [(b'a"b', "a\\x22b"), (b"a\\b", "a\\x5cb"), (b"caf\xe9", "caf\\xe9"), (b"a\tb", "a\\x09b")],
)
def test_what_could_end_a_line_or_move_a_cursor_is_escaped(value: bytes, written: str) -> None:
    request = Request(b"GET", b"/", make_lines([(b"Host", b"x"), (b"User-Agent", value)]))
    assert f'"{written}" 7 3' in combined(EXCHANGE._replace(request=request))


def test_json_tells_the_two_kinds_apart() -> None:
    exchange, close = json.loads(as_json(EXCHANGE)), json.loads(as_json(CLOSE))
    assert (exchange["event"], exchange["target"], exchange["number"]) == ("exchange", "/a?b=c", 3)
    assert (close["event"], close["reason"], close["requests"]) == ("close", "idle_limit", 3)


def test_a_connection_is_named_by_its_worker_too_where_there_are_several() -> None:
    written: list[str] = []

    async def scene() -> None:
        forms: list[Format] = ["combined", "json"]
        for form in forms:
            log = AccessLog(written.append, form)
            log.name_worker(4711)
            log.note(EXCHANGE)
            log.note(CLOSE)
            log.close()

    run_virtual(scene())
    text, objects = written
    exchange, close = text.splitlines()
    assert exchange.endswith(' "curl/8" 4711-7 3 0.000412')
    assert close.startswith("# connection 4711-7 closed after 3 requests")
    for line in objects.splitlines():
        document = json.loads(line)
        assert (document["process"], document["connection_number"]) == (4711, 7)


def test_who_serves_alone_names_no_worker() -> None:
    assert "process" not in json.loads(as_json(EXCHANGE))


def test_records_wait_for_each_other_and_are_written_once() -> None:
    written: list[str] = []

    async def main() -> None:
        log = AccessLog(written.append)
        log.note(EXCHANGE)
        log.note(CLOSE)
        assert written == []
        await asyncio.sleep(BATCH_SECONDS * 2)  # virtual time
        assert len(written) == 1
        assert written[0].count("\n") == 2
        log.flush()
        assert len(written) == 1

    run_virtual(main())


def test_a_full_batch_does_not_wait() -> None:
    written: list[str] = []

    async def main() -> None:
        log = AccessLog(written.append, "json")
        for _ in range(BATCH_RECORDS):
            log.note(EXCHANGE)
        assert [text.count("\n") for text in written] == [BATCH_RECORDS]

    run_virtual(main())


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_a_server_logs_its_exchanges_and_the_reason_of_each_close(play: Play, tmp_path: Path) -> None:
    path = tmp_path / "access.log"

    async def scene(network: Network) -> None:
        settings = {"access_log": "json", "access_log_file": path}
        async with serving(network, hello, **settings) as stand:
            peer, _ = await stand.ask(b"GET /first HTTP/1.1\r\nHost: x\r\n\r\n")
            peer.send(b"HEAD /second HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            await answer_from(peer, b"HEAD")
            await stand.closes()

    play(scene)
    first, second, close = (json.loads(line) for line in lines_of(path))
    assert [first[key] for key in ("target", "number", "status", "octets")] == ["/first", 1, 200, 11]
    assert [second[key] for key in ("target", "number", "status", "octets")] == ["/second", 2, 200, 0]
    assert (close["reason"], close["requests"]) == ("close_received", 2)
    assert first["connection_number"] == close["connection_number"] == 1


def test_a_client_that_went_before_its_answer_is_logged_as_499(play: Play, tmp_path: Path) -> None:
    path = tmp_path / "access.log"

    async def scene(network: Network) -> None:
        application = Gated()
        async with serving(network, application, access_log="combined", access_log_file=path) as stand:
            peer = await stand.dial()
            peer.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            await stand.until(lambda: stand.server.registry.requests)
            peer.abort()
            await stand.closes()
            application.gate.set()

    play(scene)
    assert '"GET /slow HTTP/1.1" 499 0 "-" "-" 1 1 ' in lines_of(path)[0]
    assert lines_of(path)[1].startswith("# connection 1 closed after 0 requests")


def test_a_log_that_cannot_be_opened_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(Error, match=r"cannot append the access log to .*: Is a directory"):
        open_access_log("combined", tmp_path)
