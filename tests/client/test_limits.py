"""How long connections are kept, how many there are, and what takes too long: on all stages."""

from __future__ import annotations

import pytest

import perdure
from perdure.core.reason import Reason
from perdure.wire.pair import WINDOW_OCTETS
from perdure.wire.scripted import CLIENT_END, Exactly, Pause, Script, Stall, Until
from tests.client.conftest import BLANK, Peer, Perform, Stage, answer, says

HELLO = answer(b"hello")

# --- hints and idle limits -----------------------------------------------------------------


@pytest.mark.row("R179", "R174", "S4", "S7")
@pytest.mark.parametrize(
    ("fields", "idle_seconds", "reused"),
    [
        ([b"Connection: keep-alive", b"Keep-Alive: timeout=5"], 3.5, True),
        ([b"Connection: keep-alive", b"Keep-Alive: timeout=5"], 4.5, False),
        ([b"Keep-Alive: timeout=5"], 4.5, True),
        ([b"Connection: keep-alive", b"Keep-Alive: timeout=1"], 0.0, False),
        ([], 54.0, True),
        ([], 56.0, False),
    ],
)
def test_hints_are_honoured_beside_their_option(
    perform_in_time: Perform, fields: list[bytes], idle_seconds: float, reused: bool
) -> None:
    async def scene(stage: Stage) -> None:
        await stage.ask()
        await stage.pass_time(idle_seconds)
        assert (await stage.ask()).connection.reused is reused

    perform_in_time(scene, says(answer(b"one", *fields), HELLO), says(HELLO))


def test_the_max_hint_is_used_up(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        await stage.ask()
        assert (await stage.ask()).connection.ends is Reason.HINT_MAX
        assert stage.connections == 1

    hint = answer(b"one", b"Connection: keep-alive", b"Keep-Alive: timeout=60, max=1")
    perform(scene, says(hint, HELLO))


# --- time limits ---------------------------------------------------------------------------


def silent_after_head() -> Script:
    """A peer that begins a response and stops."""
    yield Until(BLANK)
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"
    yield CLIENT_END


def silent() -> Script:
    """A peer that never answers."""
    yield Until(BLANK)
    yield CLIENT_END


@pytest.mark.parametrize("peer", [silent, silent_after_head])
def test_silence_of_the_server_ends_the_exchange(perform_in_time: Perform, peer: Peer) -> None:
    async def scene(stage: Stage) -> None:
        with pytest.raises(perdure.ReadTimeout) as caught:
            await stage.ask()
        assert caught.value.reason is Reason.READ_TIMEOUT
        assert caught.value.request_sent == "wholly"
        assert stage.statistics().leased == 0
        await stage.until(lambda: stage.ended(0))
        assert (await stage.ask()).content == b"hello"

    perform_in_time(scene, peer, says(HELLO), read_timeout=5.0)


def test_a_request_may_have_a_limit_of_its_own(perform_in_time: Perform) -> None:
    async def scene(stage: Stage) -> None:
        with pytest.raises(perdure.ReadTimeout):
            await stage.ask(timeout=0.5)

    perform_in_time(scene, silent, read_timeout=5000.0)


def test_a_server_that_drips_is_not_silent(perform_in_time: Perform) -> None:
    def drip() -> Script:
        yield Until(BLANK)
        for octet in HELLO:
            yield Pause(4.0)
            yield bytes([octet])

    async def scene(stage: Stage) -> None:
        assert (await stage.ask()).content == b"hello"

    perform_in_time(scene, drip, read_timeout=5.0)


def test_a_server_that_takes_none_of_a_request_ends_the_exchange(perform_in_time: Perform) -> None:
    def stalled() -> Script:
        yield Until(BLANK)
        yield Stall(0)
        yield Exactly(1 << 30)

    async def scene(stage: Stage) -> None:
        with pytest.raises(perdure.WriteTimeout) as caught:
            await stage.ask("PUT", content=bytes(1 << 20))
        assert caught.value.request_sent == "partly"
        assert stage.statistics().leased == 0

    perform_in_time(scene, stalled, write_timeout=5.0)


def test_a_server_that_takes_none_of_a_short_request_ends_the_exchange(perform_in_time: Perform) -> None:
    """So few octets wait that no transport asks for a pause."""

    def stalled() -> Script:
        yield Until(BLANK)
        yield Stall(0)
        yield Exactly(1 << 30)

    async def scene(stage: Stage) -> None:
        with pytest.raises(perdure.WriteTimeout):
            await stage.ask("PUT", content=bytes(2 * WINDOW_OCTETS + 20000))
        assert stage.statistics().leased == 0

    perform_in_time(scene, stalled, read_timeout=2.0, write_timeout=5.0)
