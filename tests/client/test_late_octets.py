"""Octets behind a response that come before its flow is over are nobody's answer (RFC 9112 §9.2)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from perdure.core.reason import Reason
from perdure.wire.scripted import CLIENT_END, Pause, Script, Until
from tests.client import conftest
from tests.client.conftest import BLANK, Perform, Stage, answer, says

FIRST = answer(b"first")
EVIL = answer(b"evil", b"X-Owner: nobody")
TRUE = answer(b"true")


def tells_more(*behind: bytes) -> Script:
    """A peer that answers once, and says more a moment later."""
    yield Until(BLANK)
    yield FIRST
    yield Pause(0.05)
    yield from behind
    yield CLIENT_END


async def ask_again(stage: Stage) -> None:
    response = await stage.ask(path="/account")
    assert response.content == b"true"
    assert "x-owner" not in response.headers
    assert not response.connection.reused


@pytest.mark.row("R64", "R90")
@pytest.mark.parametrize("behind", [EVIL, answer(b"", status=b"408 Request Timeout"), b"rubbish"])
def test_what_comes_while_the_caller_has_not_read_on_ends_the_connection(
    perform: Perform, behind: bytes
) -> None:
    async def scene(stage: Stage) -> None:
        async with stage.stream() as response:
            await stage.pass_time(0.2)
            assert b"".join([piece async for piece in response.pieces()]) == b"first"
        await stage.pass_time(0.1)
        await ask_again(stage)
        (reason,) = stage.statistics().closes  # in one delivery with the response, or in one of its own
        assert reason in (Reason.SURPLUS_OCTETS, Reason.IDLE_408)

    perform(scene, lambda: tells_more(behind), says(TRUE))


@pytest.mark.row("R64")
def test_a_response_that_is_closed_unread_hides_nothing_behind_it(perform_on_loop: Perform) -> None:
    async def scene(stage: Stage) -> None:
        async with stage.stream():
            await stage.pass_time(0.2)
        await ask_again(stage)

    perform_on_loop(scene, lambda: tells_more(EVIL), says(TRUE))


@pytest.mark.row("R64")
def test_what_comes_behind_an_early_response_to_an_upload_ends_the_connection() -> None:
    async def scene(stage: Stage) -> None:
        async def slowly() -> AsyncIterator[bytes]:
            for _ in range(3):
                await stage.pass_time(0.2)
                yield b"a"

        response = await stage.ask("POST", content=slowly(), headers={"Content-Length": "3"})
        assert response.content == b"first"
        await ask_again(stage)

    conftest.in_memory(scene, lambda: tells_more(EVIL), says(TRUE))


def test_a_stray_line_end_behind_a_response_ends_nothing(perform_on_loop: Perform) -> None:
    def peer() -> Script:
        yield Until(BLANK)
        yield FIRST
        yield Pause(0.05)
        yield b"\r\n"
        yield Until(BLANK)
        yield TRUE
        yield CLIENT_END

    async def scene(stage: Stage) -> None:
        async with stage.stream() as response:
            await stage.pass_time(0.2)
            assert b"".join([piece async for piece in response.pieces()]) == b"first"
        again = await stage.ask()
        assert again.content == b"true"
        assert again.connection.reused

    perform_on_loop(scene, peer)


def test_fields_of_a_response_cannot_be_changed_for_the_next_one(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        for _ in range(3):
            assert isinstance((await stage.ask()).fields, tuple)

    perform(scene, says(TRUE, TRUE, TRUE))
