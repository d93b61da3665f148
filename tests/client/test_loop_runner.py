"""The commonest exchange goes without its flow; whatever else happens, the flow goes on with it."""

from __future__ import annotations

import asyncio

import pytest

import perdure
from perdure.core.reason import Reason
from perdure.wire.scripted import CLIENT_END, FIN, RST, Pause, Script, Until
from tests.client import conftest
from tests.client.conftest import BLANK, Stage, answer, says

HELLO = answer(b"hello")


def follow(*octets: object) -> Script:
    """A peer that answers once, and the second request with these."""
    yield Until(BLANK)
    yield HELLO
    yield Until(BLANK)
    yield from octets  # type: ignore[misc]  # whatever a script says
    yield CLIENT_END


@pytest.mark.parametrize(
    "pieces",
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b"again"),
        (b"HTTP/1.1 200 OK\r\nContent-", b"Length: 5\r\n\r\nagain"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nag", b"ai", b"n"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n", answer(b"again")),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b"again"),),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nagain\r\n0\r\n\r\n",),
    ],
)
def test_response_in_any_number_of_deliveries_is_the_same(pieces: tuple[bytes, ...]) -> None:
    def peer() -> Script:
        return follow(*[step for piece in pieces for step in (piece, Pause(0.1))])

    async def scene(stage: Stage) -> None:
        await stage.ask()
        response = await stage.ask()
        assert response.content == b"again"
        assert response.connection.reused
        assert (stage.statistics().idle, stage.statistics().leased) == (1, 0)

    conftest.in_memory(scene, peer)


@pytest.mark.row("R111", "R112")
@pytest.mark.parametrize("end", [FIN, RST])
def test_get_on_a_connection_that_just_ended_is_asked_again_on_a_fresh_one(end: object) -> None:
    def peer() -> Script:
        return follow(end)

    async def scene(stage: Stage) -> None:
        await stage.ask()
        response = await stage.ask()
        assert response.content == b"anew"
        assert not response.connection.reused
        assert stage.statistics().leased == 0

    conftest.in_memory(scene, peer, says(answer(b"anew")))


@pytest.mark.row("R95")
def test_response_that_says_close_ends_the_connection() -> None:
    def peer() -> Script:
        return follow(answer(b"last", b"Connection: close"))

    async def scene(stage: Stage) -> None:
        await stage.ask()
        response = await stage.ask()
        assert response.content == b"last"
        assert response.connection.ends is Reason.CLOSE_RECEIVED
        assert stage.statistics().connections == 0

    conftest.in_memory(scene, peer)


def test_response_that_is_none_is_an_error_that_ends_the_connection() -> None:
    def peer() -> Script:
        return follow(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")

    async def scene(stage: Stage) -> None:
        await stage.ask()
        with pytest.raises(perdure.RemoteProtocolError) as caught:
            await stage.ask()
        assert caught.value.request_sent == "wholly"
        assert (stage.statistics().connections, stage.statistics().leased) == (0, 0)

    conftest.in_memory(scene, peer)


def test_silence_is_an_error_after_the_time_that_was_allowed() -> None:
    async def scene(stage: Stage) -> None:
        await stage.ask()
        with pytest.raises(perdure.ReadTimeout):
            await stage.ask(timeout=2.0)
        assert (stage.statistics().connections, stage.statistics().leased) == (0, 0)

    conftest.in_memory(scene, lambda: follow(Pause(60.0)))


def test_who_is_cancelled_while_waiting_leaves_nothing() -> None:
    async def scene(stage: Stage) -> None:
        await stage.ask()
        asking = asyncio.ensure_future(stage.ask())
        await stage.pass_time(0.1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert (stage.statistics().connections, stage.statistics().leased) == (0, 0)
        assert stage.statistics().closes == {Reason.CANCELLED: 1}

    conftest.in_memory(scene, lambda: follow(Pause(60.0)))
