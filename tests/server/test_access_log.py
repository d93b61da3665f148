"""Lines of the access log: what they say, what they never let through, and that they come in batches."""

from __future__ import annotations

import asyncio
import json

import pytest

from perdure.core import Reason, Request, make_lines
from perdure.server.access_log import (
    BATCH_RECORDS,
    BATCH_SECONDS,
    AccessLog,
    CloseRecord,
    ExchangeRecord,
    as_json,
    combined,
)
from perdure.wire.virtual import run_virtual

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
