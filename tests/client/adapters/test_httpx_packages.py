"""What users of httpx and httpx2 are told, each in the terms of its own package."""

from __future__ import annotations

import importlib
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

import perdure
from perdure.client.adapters.httpx import AsyncTransport, Transport
from perdure.wire.scripted import (
    FIN,
    RST,
    Pause,
    Script,
    ScriptedNetwork,
    Until,
)
from tests.client.adapters.conftest import (
    CUT,
    HELLO,
    Perform,
    Stage,
    silent_after,
)
from tests.client.conftest import BLANK, Peer, last_words, says


def resets_after(octets: bytes) -> Peer:
    def peer() -> Script:
        yield Until(BLANK)
        yield octets
        yield Pause(1.0)  # or what was said before would be lost with the connection
        yield RST

    return peer


@pytest.mark.parametrize(
    ("peer", "kind", "own"),
    [
        (last_words(b"", FIN), "RemoteProtocolError", perdure.NoResponse),
        (last_words(b"", RST), "ReadError", perdure.NoResponse),
        (last_words(CUT, FIN), "RemoteProtocolError", perdure.ResponseIncomplete),
        (resets_after(CUT), "ReadError", perdure.ResponseIncomplete),
        (silent_after(b"rubbish\r\n\r\n"), "RemoteProtocolError", perdure.RemoteProtocolError),
    ],
)
def test_faults_of_the_server_are_told_in_httpx_terms(
    perform: Perform, peer: Peer, kind: str, own: type[perdure.Error]
) -> None:
    async def scene(stage: Stage) -> None:
        with pytest.raises(getattr(stage.package, kind)) as caught:
            await stage.ask()
        assert type(caught.value) is getattr(stage.package, kind)
        assert isinstance(caught.value.__cause__, own)
        assert caught.value.request.url.path == "/"
        assert stage.statistics().leased == 0

    perform(scene, peer)


def test_faults_of_the_caller_are_told_in_httpx_terms(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        with pytest.raises(stage.package.LocalProtocolError, match="control character"):
            await stage.ask(headers={"X-Own": "one\r\nTwo: three"})
        with pytest.raises(stage.package.LocalProtocolError, match="Content-Length says 3"):
            await stage.ask("POST", content=b"hello", headers={"Content-Length": "3"})
        assert stage.statistics().leased == 0

    perform(scene, says(HELLO))


@pytest.mark.parametrize("url", ["ftp://origin.test/", "unknown://origin.test/"])
def test_other_schemes_are_refused(package: Any, url: str) -> None:
    with (
        package.Client(transport=Transport()) as client,
        pytest.raises(package.UnsupportedProtocol) as caught,
    ):
        client.get(url)
    assert str(caught.value.request.url) == url


def test_a_closed_transport_says_so(package: Any) -> None:
    transport = Transport(network=ScriptedNetwork([]))
    transport.close()
    request = package.Request("GET", "http://origin.test/")
    with pytest.raises(package.TransportError, match="closed"):
        transport.handle_request(request)


def test_requests_of_neither_package_are_refused() -> None:
    with pytest.raises(TypeError, match="httpx or httpx2"):
        Transport().handle_request(SimpleNamespace(extensions={}))


@pytest.mark.slow
@pytest.mark.parametrize("absent", [("httpx",), ("httpx2",), ("httpx", "httpx2")])
def test_either_package_may_be_absent(absent: tuple[str, ...]) -> None:
    code = f"import sys\nfor name in {absent}: sys.modules[name] = None\n"
    code += "import perdure.client.adapters.httpx as ours\nprint(len(ours.PACKAGES))\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if len(absent) == 1:
        assert done.stdout == "1\n"
        return
    assert "pip install 'perdure[httpx]'" in done.stderr


def test_transports_are_transports_of_both_packages() -> None:
    for name in ("httpx", "httpx2"):
        module = importlib.import_module(name)
        assert issubclass(Transport, module.BaseTransport)
        assert issubclass(AsyncTransport, module.AsyncBaseTransport)
