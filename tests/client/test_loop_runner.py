"""The commonest exchange goes without its flow; whatever else happens, the flow goes on with it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

import perdure
from perdure.client.loop_wire import ClientWire
from perdure.core.reason import Reason
from perdure.wire.network import LoopNetwork, run
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


# Whoever finds nothing idle waits, and begins in the call that lets go of a connection.


@pytest.mark.parametrize(
    "pieces",
    [
        (answer(b"again"),),
        (b"HTTP/1.1 200 OK\r\nContent-", b"Length: 5\r\n\r\nag", b"ain"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n", answer(b"again")),
    ],
)
def test_who_waited_for_a_connection_is_answered_as_any_other(pieces: tuple[bytes, ...]) -> None:
    def peer() -> Script:
        return follow(*[step for piece in pieces for step in (piece, Pause(0.1))])

    async def scene(stage: Stage) -> None:
        first, second = await asyncio.gather(stage.ask(path="/1"), stage.ask(path="/2"))
        assert (first.content, second.content) == (b"hello", b"again")
        assert second.connection.reused
        assert stage.heard().count(b"GET /2 ") == 1
        assert (stage.statistics().idle, stage.statistics().waiting) == (1, 0)

    conftest.in_memory(scene, peer, max_per_origin=1)


def test_many_who_wait_are_served_in_their_order() -> None:
    async def scene(stage: Stage) -> None:
        await asyncio.gather(*[stage.ask(path=f"/{number}") for number in range(20)])
        targets = [line.split()[1] for line in stage.heard().split(b"\r\n") if line.startswith(b"GET")]
        assert targets == [b"/%d" % number for number in range(20)]

    conftest.in_memory(scene, says(*[HELLO] * 20), max_per_origin=1)


@pytest.mark.row("R111", "R112")
@pytest.mark.parametrize("end", [FIN, RST])
def test_who_waited_for_a_connection_that_then_ends_asks_on_a_fresh_one(end: object) -> None:
    async def scene(stage: Stage) -> None:
        first, second = await asyncio.gather(stage.ask(), stage.ask())
        assert (first.content, second.content) == (b"hello", b"anew")
        assert not second.connection.reused
        assert stage.statistics().leased == 0

    conftest.in_memory(scene, lambda: follow(end), says(answer(b"anew")), max_per_origin=1)


@pytest.mark.parametrize("answered", [False, True])
def test_who_is_cancelled_in_the_queue_or_after_it_holds_up_nobody(answered: bool) -> None:
    async def scene(stage: Stage) -> None:
        asking = [asyncio.ensure_future(stage.ask(path=f"/{number}")) for number in range(3)]
        await stage.pass_time(1.5 if answered else 0.5)  # the second was sent, or waits
        asking[1].cancel()
        first, _, third = await asyncio.gather(*asking, return_exceptions=True)
        assert isinstance(first, perdure.Response)
        assert isinstance(third, perdure.Response)
        assert asking[1].cancelled()
        assert third.connection.reused is not answered
        assert (b"GET /1 " in stage.heard()) is answered
        assert (stage.statistics().idle, stage.statistics().leased, stage.statistics().waiting) == (1, 0, 0)

    def slow() -> Script:
        for _ in range(2):
            yield Until(BLANK)
            yield Pause(1.0)
            yield HELLO
        yield CLIENT_END

    conftest.in_memory(scene, slow, slow, max_per_origin=1)


def test_who_is_cancelled_as_it_is_granted_a_connection_gives_it_back() -> None:
    async def scene(stage: Stage) -> None:
        first = asyncio.ensure_future(stage.ask())
        second = asyncio.ensure_future(stage.ask())
        first.add_done_callback(lambda _: second.cancel())
        await asyncio.wait([first, second])
        assert second.cancelled()
        assert stage.statistics().leased == 0
        await stage.ask()

    conftest.in_memory(scene, says(HELLO, HELLO, HELLO), says(HELLO), max_per_origin=1)


def test_who_waits_too_long_for_a_connection_is_told_so() -> None:
    async def scene(stage: Stage) -> None:
        first = asyncio.ensure_future(stage.ask())
        await stage.pass_time(0.1)
        with pytest.raises(perdure.PoolTimeout):
            await stage.ask()
        assert (await first).content == b"hello"
        assert (stage.statistics().idle, stage.statistics().waiting) == (1, 0)

    def slow() -> Script:
        yield Until(BLANK)
        yield Pause(5.0)
        yield HELLO
        yield CLIENT_END

    conftest.in_memory(scene, slow, max_per_origin=1, pool_timeout=1.0)


class Talkative(ClientWire):
    """A wire on which more arrives as soon as the first response was read, before anybody acts on that."""

    __slots__ = ()
    more: ClassVar[list[Callable[[], object]]] = []

    def data_received(self, octets: bytes) -> None:
        super().data_received(octets)
        if self.more:
            self.more.pop()()


class TalkativeNetwork(LoopNetwork):
    async def dial(self, factory: Callable[[], Any], *where: Any, **how: Any) -> Any:
        def talkative() -> Any:
            wire = factory()
            wire.__class__ = Talkative
            return wire

        return await super().dial(talkative, *where, **how)


@pytest.mark.row("R64", "R90")
@pytest.mark.parametrize("prefer_uvloop", [False, True])
def test_octets_behind_a_response_are_no_answer_to_who_waited_for_its_connection(prefer_uvloop: bool) -> None:
    async def scene(stage: Stage) -> None:
        assert isinstance(stage, conftest.LoopStage)
        Talkative.more[:] = [
            lambda: os.write(
                stage.peers[0].transport.get_extra_info("socket").fileno(),
                answer(b"evil", b"X-Owner: nobody"),
            )
        ]
        first, second = await asyncio.gather(stage.ask(), stage.ask())
        assert (first.content, second.content) == (b"hello", b"true")
        assert not second.connection.reused

    scripts = (lambda: follow(Pause(20.0)), says(answer(b"true")))
    staged = conftest.direct(TalkativeNetwork(), scene, scripts, {"max_per_origin": 1})
    run(asyncio.wait_for(staged, conftest.PATIENCE_SECONDS), prefer_uvloop=prefer_uvloop)
