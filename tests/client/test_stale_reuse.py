"""A connection that was gone when it was used again: the same on all stages. RFC 9112 §9.3.1."""

from __future__ import annotations

import pytest

import perdure
from perdure.core.reason import Reason
from perdure.wire.scripted import FIN, RST, Script, Sign, Until
from tests.client.conftest import BLANK, Peer, Perform, Stage, answer, last_words, says

HELLO = answer(b"hello")
CHUNKED_OK = b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
INJECTED = answer(b"injected")


# --- stale reuse ---------------------------------------------------------------------------


@pytest.mark.row("R111", "R183", "S16")
@pytest.mark.parametrize("sign", [FIN, RST])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_an_idempotent_request_on_a_stale_connection_is_sent_again_on_a_fresh_one(
    perform: Perform, method: str, sign: Sign
) -> None:
    def stale() -> Script:
        yield Until(BLANK)
        yield HELLO
        yield Until(BLANK)
        yield sign

    async def scene(stage: Stage) -> None:
        await stage.ask()
        response = await stage.ask(method)
        assert response.status == 204
        assert not response.connection.reused
        assert stage.connections == 2
        closes = stage.statistics().closes
        assert closes[Reason.PEER_CLOSED if sign is FIN else Reason.PEER_RESET] == 1

    perform(scene, stale, says(b"HTTP/1.1 204 No Content\r\n\r\n"))


@pytest.mark.row("R148", "R111")
@pytest.mark.parametrize("sign", [FIN, RST])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_request_that_may_not_be_repeated_is_not(perform: Perform, method: str, sign: Sign) -> None:
    def stale() -> Script:
        yield Until(BLANK)
        yield HELLO
        yield Until(BLANK)
        yield HELLO
        yield Until(BLANK)
        yield sign

    async def scene(stage: Stage) -> None:
        await stage.ask()
        await stage.ask()
        with pytest.raises(perdure.NoResponse) as caught:
            await stage.ask(method, headers={"Content-Length": "0"})
        error = caught.value
        if error.reused:  # the ledger may have chosen a fresh connection: nothing was proven yet
            assert error.uses == 3
        assert error.request_sent == "wholly"
        assert sum(stage.heard(n).count(method.encode()) for n in range(stage.connections)) == 1

    def once() -> Script:
        yield Until(BLANK)
        yield sign

    perform(scene, stale, once)


@pytest.mark.row("R148")
def test_an_idempotency_key_allows_what_the_method_does_not(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        await stage.ask()
        response = await stage.ask("POST", headers={"Idempotency-Key": '"1"'})
        assert response.content == b"hello"
        assert stage.connections == 2

    perform(scene, stale_after_one(), says(HELLO))


def stale_after_one() -> Peer:
    """A peer that answers one request and ends at the second."""

    def peer() -> Script:
        yield Until(BLANK)
        yield HELLO
        yield Until(BLANK)
        yield FIN

    return peer


@pytest.mark.row("R150")
def test_a_repetition_is_not_repeated(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        await stage.ask()
        with pytest.raises(perdure.NoResponse) as caught:
            await stage.ask()
        assert not caught.value.reused
        assert stage.connections == 2

    perform(scene, stale_after_one(), last_words(b"", FIN), says(HELLO))


def test_a_fresh_connection_that_ends_is_an_error_at_once(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        with pytest.raises(perdure.NoResponse) as caught:
            await stage.ask()
        assert (caught.value.reused, caught.value.uses) == (False, 1)
        assert stage.connections == 1

    perform(scene, last_words(b"", FIN), says(HELLO))


def test_retrying_can_be_switched_off(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        await stage.ask()
        with pytest.raises(perdure.NoResponse):
            await stage.ask()
        assert stage.connections == 1

    perform(scene, stale_after_one(), says(HELLO), retry=False)


@pytest.mark.row("R88")
def test_a_408_on_a_reused_connection_is_an_idle_close(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        await stage.ask()
        assert (await stage.ask()).content == b"hello"
        assert stage.connections == 2
        assert stage.statistics().closes[Reason.IDLE_408] == 1

    late = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    perform(scene, says(HELLO, late), says(HELLO))


@pytest.mark.row("R88")
def test_a_408_on_a_fresh_connection_is_a_response(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        assert (await stage.ask()).status == 408

    perform(scene, says(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"))


@pytest.mark.row("R88", "R148")
def test_a_408_for_a_request_that_may_not_be_repeated_is_its_response_and_an_idle_close(
    perform: Perform,
) -> None:
    async def scene(stage: Stage) -> None:
        await stage.ask()
        response = await stage.ask("POST")
        assert (response.status, response.connection.reused) == (408, True)
        statistics = stage.statistics()
        assert statistics.closes == {Reason.IDLE_408: 1}
        assert not statistics.proven

    promise = answer(b"hello", b"Connection: keep-alive", b"Keep-Alive: timeout=60")
    late = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    perform(scene, says(promise, late))
