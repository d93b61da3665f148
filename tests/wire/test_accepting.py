"""Accepts that fail: said once a minute; what else an event loop reports goes where it went before."""

from __future__ import annotations

import asyncio
import errno
import logging
from typing import Any

import pytest

from perdure.wire.accepting import count_accept_failures
from perdure.wire.virtual import run_virtual

FULL = OSError(errno.EMFILE, "Too many open files")


def report(error: Exception, **more: object) -> None:
    context = {"message": "what asyncio says", "exception": error, **more}
    asyncio.get_running_loop().call_exception_handler(context)


def test_accepts_that_fail_are_said_once_a_minute_with_a_count(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        count_accept_failures(asyncio.get_running_loop())
        for _ in range(130):
            for _ in range(32):
                report(FULL, socket=object())
            await asyncio.sleep(1.0)

    run_virtual(scene())
    said = [record.getMessage() for record in caplog.records]
    line = "a connection cannot be accepted and waits: Too many open files"
    again = f"{line} ({60 * 32} times since this was last said)"
    assert said == [line, again, again]


def test_everything_else_goes_to_the_handler_before(caplog: pytest.LogCaptureFixture) -> None:
    told: list[dict[str, Any]] = []

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context))
        count_accept_failures(loop)
        count_accept_failures(loop)
        report(ValueError("another"))
        report(FULL)
        report(OSError(errno.ECONNRESET, "reset"), socket=object())
        report(FULL, socket=object())

    run_virtual(scene())
    assert [type(context["exception"]) for context in told] == [ValueError, OSError, ConnectionResetError]
    assert len(caplog.records) == 1


def test_without_a_handler_before_the_event_loop_says_it_itself(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        count_accept_failures(asyncio.get_running_loop())
        report(ValueError("another"))

    run_virtual(scene())
    assert [(record.name, record.levelno) for record in caplog.records] == [("asyncio", logging.ERROR)]
