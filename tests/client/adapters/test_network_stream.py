"""The connection of a response answers questions; over real sockets, TLS among them."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from perdure.client.adapters.httpx import AsyncTransport, Transport
from tests.client.adapters.local_origin import Origin


def asked(package: Any, asynchronous: bool, url: str, question: str, **arguments: Any) -> Any:
    """What the connection answers while the response is read."""

    async def ask() -> Any:
        async with (
            package.AsyncClient(transport=AsyncTransport(**arguments)) as client,
            client.stream("GET", url) as response,
        ):
            return answered(response, question)

    if asynchronous:
        return asyncio.run(ask())
    with package.Client(transport=Transport(**arguments)) as client, client.stream("GET", url) as response:
        return answered(response, question)


def answered(response: Any, question: str) -> Any:
    answer = response.extensions["network_stream"].get_extra_info(question)
    return answer.version() if question == "ssl_object" and answer is not None else answer


@pytest.mark.parametrize("asynchronous", [False, True])
def test_addresses_are_told(package: Any, asynchronous: bool, origin: Origin) -> None:
    assert asked(package, asynchronous, origin.url, "server_addr") == ("127.0.0.1", origin.server_port)
    assert asked(package, asynchronous, origin.url, "client_addr")[0] == "127.0.0.1"
    assert asked(package, asynchronous, origin.url, "socket").family is socket.AF_INET
    assert asked(package, asynchronous, origin.url, "is_readable") in (True, False)
    assert asked(package, asynchronous, origin.url, "ssl_object") is None


@pytest.mark.parametrize("asynchronous", [False, True])
def test_tls_is_told(package: Any, asynchronous: bool, tls_origin: Origin, authority_file: str) -> None:
    arguments = {"verify": authority_file}
    assert asked(package, asynchronous, tls_origin.url, "ssl_object", **arguments) == "TLSv1.3"
