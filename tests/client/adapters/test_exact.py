"""Requests that another library made: each of their timeouts, and their target."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import perdure
from perdure.client.adapters.httpx import AsyncTransport, Transport
from perdure.wire.scripted import (
    CLIENT_END,
    UNANSWERED,
    Pause,
    Script,
    ScriptedNetwork,
    Stall,
    Until,
)
from perdure.wire.virtual import run_virtual
from tests.client.adapters.conftest import (
    HELLO,
    Perform,
    Stage,
    scripted_origin,
    silent_after,
)
from tests.client.conftest import BLANK, says


@pytest.mark.parametrize("octets", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"])
def test_the_read_timeout_is_honoured(perform: Perform, octets: bytes) -> None:
    async def scene(stage: Stage) -> None:
        with pytest.raises(stage.package.ReadTimeout) as caught:
            await stage.ask(timeout=stage.package.Timeout(None, read=3.0))
        assert isinstance(caught.value.__cause__, perdure.ReadTimeout)

    perform(scene, silent_after(octets))


def test_the_write_timeout_is_honoured(perform: Perform) -> None:
    def peer() -> Script:
        yield Until(BLANK)
        yield Stall(1000)
        yield CLIENT_END

    async def scene(stage: Stage) -> None:
        with pytest.raises(stage.package.WriteTimeout):
            await stage.ask("PUT", content=b"x" * 10_000_000, timeout=stage.package.Timeout(None, write=3.0))

    perform(scene, peer)


def test_the_connect_timeout_is_honoured(package: Any) -> None:
    network = ScriptedNetwork([UNANSWERED])
    with package.Client(transport=Transport(network=network)) as client:
        began = network.now()
        with pytest.raises(package.ConnectTimeout):
            client.get("http://origin.test/", timeout=package.Timeout(None, connect=3.0))
        assert network.now() - began == pytest.approx(3.0)


def test_the_pool_timeout_is_honoured(package: Any) -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        async with (
            scripted_origin([silent_after(b"")]) as (network, _, base),
            package.AsyncClient(
                transport=AsyncTransport(
                    network=network, limits=package.Limits(max_connections=1, max_keepalive_connections=1)
                ),
                timeout=None,
            ) as client,
        ):
            first = loop.create_task(client.get(base))
            await asyncio.sleep(1.0)
            began = loop.time()
            with pytest.raises(package.PoolTimeout):
                await client.get(base, timeout=package.Timeout(None, pool=3.0))
            assert loop.time() - began == pytest.approx(3.0, abs=0.1)
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)

    run_virtual(scene())


def test_no_timeout_waits_for_ever(perform: Perform) -> None:
    def peer() -> Script:
        yield Until(BLANK)
        yield Pause(900.0)
        yield HELLO

    async def scene(stage: Stage) -> None:
        assert (await stage.ask(timeout=None)).text == "hello"

    perform(scene, peer)


def test_the_target_extension_replaces_the_target(package: Any) -> None:
    network = ScriptedNetwork([says(HELLO)])
    with package.Client(transport=Transport(network=network)) as client:
        client.options("http://origin.test/", extensions={"target": b"*"})
    assert network.connections[0].client_octets.startswith(b"OPTIONS * HTTP/1.1\r\n")
