"""The transports themselves: their arguments, their event loops, cancellation."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
import trio

import perdure
from perdure.client.adapters.httpx import AsyncTransport, Transport
from perdure.core.reason import Reason
from perdure.wire.scripted import (
    UNANSWERED,
    ScriptedNetwork,
)
from perdure.wire.virtual import run_virtual
from tests.client.adapters.conftest import (
    CUT,
    HELLO,
    scripted_origin,
    silent_after,
)
from tests.client.conftest import says


def test_a_cancelled_request_leaves_nothing_behind(package: Any) -> None:
    async def scene() -> None:
        async with scripted_origin([silent_after(CUT), says(HELLO)]) as (network, _, base):
            transport = AsyncTransport(network=network)
            async with package.AsyncClient(transport=transport, timeout=None) as client:
                asking = asyncio.get_running_loop().create_task(client.get(base))
                await asyncio.sleep(1.0)
                asking.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await asking
                counted = transport.statistics()
                assert (counted.connections, counted.leased) == (0, 0)
                assert counted.closes == {Reason.CANCELLED: 1}
                assert (await client.get(base)).text == "hello"

    run_virtual(scene())


def test_an_async_transport_begins_anew_on_the_next_event_loop(package: Any) -> None:
    transport = AsyncTransport()

    async def ask() -> int:
        async with perdure.Server(plain_application, bind="127.0.0.1:0") as server:
            client = package.AsyncClient(transport=transport)
            response = await client.get(server.urls[0])
            await transport.client.aclose()
            return int(response.status_code)

    assert [asyncio.run(ask()), asyncio.run(ask())] == [200, 200]


async def plain_application(scope: Any, receive: Any, send: Any) -> None:
    """Says ok."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


def test_an_async_transport_refuses_a_second_loop_meanwhile(package: Any) -> None:
    async def scene() -> None:
        async with scripted_origin([says(HELLO)]) as (network, _, base):
            transport = AsyncTransport(network=network)
            async with package.AsyncClient(transport=transport) as client:
                await client.get(base)
                with pytest.raises(RuntimeError, match="another event loop"):
                    await asyncio.to_thread(elsewhere, transport)

    def elsewhere(transport: AsyncTransport) -> None:
        asyncio.run(transport.handle_async_request(package.Request("GET", "http://origin.test/")))

    asyncio.run(scene())


def test_trio_is_told_where_to_go(package: Any) -> None:
    async def ask() -> None:
        async with package.AsyncClient(transport=AsyncTransport()) as client:
            with pytest.raises(RuntimeError, match=r"asyncio.*AsyncHTTPTransport"):
                await client.get("http://origin.test/")

    trio.run(ask)


# --- arguments ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        {"http2": True},
        {"http1": False},
        {"local_address": "127.0.0.1"},
        {"socket_options": [(1, 2, 3)]},
    ],
)
@pytest.mark.parametrize("kind", [Transport, AsyncTransport])
def test_what_there_is_not_is_refused(kind: type[Transport], arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        kind(**arguments)


def test_limits_become_settings(package: Any) -> None:
    limits = package.Limits(max_connections=7, max_keepalive_connections=7, keepalive_expiry=3.0)
    settings = Transport(limits=limits).client.settings
    assert (settings.max_total, settings.max_per_origin, settings.idle_timeout) == (7, 7, 3.0)
    assert Transport().client.settings.max_per_origin == 100
    assert not Transport(limits=package.Limits(max_keepalive_connections=0)).client.settings.persist
    assert Transport(limits=package.Limits()).client.settings.max_total > 65535
    assert (
        Transport(limits=limits, max_per_origin=2, read_timeout=math.inf).client.settings.max_per_origin == 2
    )


def test_connecting_is_tried_again_as_often_as_is_asked(package: Any) -> None:
    network = ScriptedNetwork([UNANSWERED, UNANSWERED, says(HELLO)])
    timeout = package.Timeout(None, connect=1.0)
    with package.Client(transport=Transport(network=network, retries=1)) as client:
        with pytest.raises(package.ConnectTimeout):
            client.get("http://origin.test/", timeout=timeout)
        assert len(network.dialled) == 2
        assert client.get("http://origin.test/", timeout=timeout).text == "hello"


def test_a_unix_socket_stands_for_every_host(package: Any) -> None:
    network = ScriptedNetwork([says(HELLO)])
    with package.Client(transport=Transport(network=network, uds="/run/origin.sock")) as client:
        client.get("http://origin.test/")
    assert network.dialled == ["/run/origin.sock"]
    assert b"Host: origin.test\r\n" in network.connections[0].client_octets


def test_a_mounted_transport_serves_what_it_is_mounted_for(package: Any) -> None:
    network = ScriptedNetwork([says(HELLO)])
    mounts = {"http://origin.test": Transport(network=network)}
    other = package.MockTransport(lambda request: package.Response(204))
    with package.Client(transport=other, mounts=mounts) as client:
        assert client.get("http://origin.test/").text == "hello"
        assert client.get("http://other.test/").status_code == 204
