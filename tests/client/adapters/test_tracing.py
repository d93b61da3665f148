"""What the trace extension tells: of dials over real sockets, of exchanges in memory."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import perdure
from perdure.client.adapters.httpx import AsyncTransport, Transport
from perdure.wire.scripted import (
    FIN,
)
from tests.client.adapters.conftest import (
    HELLO,
    AsyncStage,
    Perform,
    Stage,
)
from tests.client.adapters.local_origin import Origin
from tests.client.conftest import last_words, says

Told = list[tuple[str, dict[str, Any]]]
DIAL = ["connection.connect_tcp.started", "connection.connect_tcp.complete"]
HANDSHAKE = ["connection.start_tls.started", "connection.start_tls.complete"]


def told_of(package: Any, asynchronous: bool, urls: list[str], **arguments: Any) -> list[Told]:
    """The dials that each of the requests was told of."""
    told: list[Told] = [[] for _ in urls]

    async def ask() -> None:
        async with package.AsyncClient(transport=AsyncTransport(**arguments)) as client:
            for url, steps in zip(urls, told, strict=True):

                async def tell(name: str, information: dict[str, Any], steps: Told = steps) -> None:
                    steps.append((name, information))

                try:
                    await client.get(url, extensions={"trace": tell})
                except package.ConnectError:
                    continue

    if asynchronous:
        asyncio.run(ask())
    else:
        with package.Client(transport=Transport(**arguments)) as client:
            for url, steps in zip(urls, told, strict=True):
                try:
                    client.get(url, extensions={"trace": lambda *step, steps=steps: steps.append(step)})
                except package.ConnectError:
                    continue
    return [[step for step in steps if step[0].startswith("connection.")] for steps in told]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_only_the_request_that_dials_is_told_of_the_dial(
    package: Any, asynchronous: bool, origin: Origin
) -> None:
    first, second = told_of(package, asynchronous, [f"{origin.url}/get"] * 2)
    assert [name for name, _ in first] == DIAL
    assert first[0][1]["port"] == origin.server_port
    assert second == []


@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_handshake_is_told_apart(
    package: Any, asynchronous: bool, tls_origin: Origin, authority_file: str
) -> None:
    (told,) = told_of(package, asynchronous, [f"{tls_origin.url}/get"], verify=authority_file)
    assert [name for name, _ in told] == DIAL + HANDSHAKE
    stream = told[-1][1]["return_value"]
    assert stream.get_extra_info("server_addr") == ("127.0.0.1", tls_origin.server_port)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_what_fails_is_told(package: Any, asynchronous: bool, tls_origin: Origin, unused_port: int) -> None:
    refused, distrusted = told_of(
        package, asynchronous, [f"http://127.0.0.1:{unused_port}/", f"{tls_origin.url}/"]
    )
    assert [name for name, _ in refused] == [DIAL[0], "connection.connect_tcp.failed"]
    assert [name for name, _ in distrusted] == [*DIAL, HANDSHAKE[0], "connection.start_tls.failed"]
    assert "certificate" in str(distrusted[-1][1]["exception"])


STEPS = [
    "http11.send_request_headers",
    "http11.send_request_body",
    "http11.receive_response_headers",
    "http11.receive_response_body",
    "http11.response_closed",
]


def test_an_exchange_is_told_step_by_step(perform: Perform) -> None:
    told: list[tuple[str, dict[str, Any]]] = []

    async def tell(name: str, information: dict[str, Any]) -> None:
        told.append((name, information))

    async def scene(stage: Stage) -> None:
        callback: Any = tell if isinstance(stage, AsyncStage) else lambda *step: told.append(step)
        await stage.ask("PUT", content=b"hello", extensions={"trace": callback})
        assert [name for name, _ in told] == [
            f"{step}.{state}" for step in STEPS for state in ("started", "complete")
        ]
        version, status, phrase, headers = dict(told)[f"{STEPS[2]}.complete"]["return_value"]
        assert (version, status, phrase) == (b"HTTP/1.1", 200, b"OK")
        assert (b"Content-Type", b"text/plain") in headers
        assert dict(told)[f"{STEPS[0]}.started"]["request"].method == "PUT"

    perform(scene, says(HELLO))


def test_the_step_that_fails_says_why(perform: Perform) -> None:
    told: list[tuple[str, dict[str, Any]]] = []

    async def tell(name: str, information: dict[str, Any]) -> None:
        told.append((name, information))

    async def scene(stage: Stage) -> None:
        callback: Any = tell if isinstance(stage, AsyncStage) else lambda *step: told.append(step)
        with pytest.raises(stage.package.RemoteProtocolError):
            await stage.ask(extensions={"trace": callback})
        failed = [(name, told_of) for name, told_of in told if name.endswith(".failed")]
        assert [name for name, _ in failed] == ["http11.receive_response_headers.failed"]
        assert isinstance(failed[0][1]["exception"], perdure.NoResponse)

    perform(scene, last_words(b"", FIN))
