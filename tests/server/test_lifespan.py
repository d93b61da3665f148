"""Start-up before the first connection, shutdown after the last."""

from __future__ import annotations

import asyncio
import logging

import pytest

from perdure.server.asgi import Application, Receive, Scope, Send
from perdure.server.lifespan import Lifespan, StartupFailed
from perdure.wire.network import Network
from tests.server.stand import ignoring, saying, serving
from tests.wire.conftest import Play


class Living:
    """An application with a lifespan; it keeps its story."""

    def __init__(self, startup: str = "complete", shutdown: str = "complete") -> None:
        self.story: list[str] = []
        self.outcomes = {"startup": startup, "shutdown": shutdown}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer each message as told."""
        if scope["type"] != "lifespan":
            self.story.append("request")
            await ignoring(scope, receive, send)
            return
        for _ in range(2):
            kind = (await receive())["type"].removeprefix("lifespan.")
            self.story.append(kind)
            outcome = self.outcomes[kind]
            if outcome == "raise":
                raise ValueError("a bug")
            if outcome == "hang":
                await asyncio.get_running_loop().create_future()
            await send({"type": f"lifespan.{kind}.{outcome}", "message": "as told"})


def test_it_starts_before_the_first_request_and_ends_after_the_last(play: Play) -> None:
    async def scene(network: Network) -> None:
        application = Living()
        async with serving(network, application) as stand:
            assert application.story == ["startup"]
            assert (await stand.ask())[1].status == 200
        assert application.story == ["startup", "request", "shutdown"]

    play(scene)


@pytest.mark.parametrize("application", [ignoring, saying(), Living(startup="raise")])
def test_an_application_without_a_lifespan_is_served_all_the_same(
    play: Play, application: Application
) -> None:
    async def scene(network: Network) -> None:
        lifespan = Lifespan(application)
        await lifespan.start()
        assert not lifespan.supported
        await lifespan.stop()
        async with serving(network, application) as stand:
            await stand.dial()

    play(scene)


def test_a_failed_start_raises_and_nothing_listens(play: Play) -> None:
    async def scene(network: Network) -> None:
        with pytest.raises(StartupFailed, match="as told"):
            async with serving(network, Living(startup="failed")):
                pass
        assert len(asyncio.all_tasks()) <= 2, "only the scene's own"

    play(scene)


def test_a_start_that_is_cancelled_leaves_nothing_behind(play: Play) -> None:
    async def scene(network: Network) -> None:
        lifespan = Lifespan(Living(startup="hang"))
        start = asyncio.create_task(lifespan.start())
        await asyncio.sleep(0)
        start.cancel()
        await asyncio.wait([start])
        assert start.cancelled()
        assert len(asyncio.all_tasks()) <= 2, "only the scene's own"

    play(scene)


@pytest.mark.parametrize(
    ("shutdown", "logged"), [("failed", "failed to shut down: as told"), ("raise", "a bug")]
)
def test_a_failed_shutdown_is_logged(
    play: Play, shutdown: str, logged: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, Living(shutdown=shutdown)):
            pass

    play(scene)
    assert logged in caplog.text


def test_an_application_that_ends_its_lifespan_early_is_served_on(
    play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    async def short(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            return
        await ignoring(scope, receive, send)

    async def scene(network: Network) -> None:
        async with serving(network, short) as stand:
            assert (await stand.ask())[1].status == 200

    with caplog.at_level(logging.WARNING):
        play(scene)
    assert not caplog.records


def test_a_lifespan_that_will_not_end_is_left(play_in_time: Play, caplog: pytest.LogCaptureFixture) -> None:
    release = asyncio.Event()

    async def stubborn(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    async def scene(network: Network) -> None:
        lifespan = Lifespan(stubborn)
        await lifespan.start()
        await lifespan.stop()
        release.set()
        await asyncio.sleep(0)

    play_in_time(scene)
    assert "goes on although it was cancelled" in caplog.text
