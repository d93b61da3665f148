"""Requests through proxies, on four stages: pooling, tunnels, what goes wrong on the way (9110 §9.3.6)."""

from __future__ import annotations

import asyncio

import pytest

import perdure
from perdure.core.reason import Reason
from perdure.wire.scripted import CLIENT_END, FIN, RST, Exactly, Pause, Script, Sign, Until
from tests.client.conftest import BLANK, Perform, Stage, answer, last_words

OPEN = b"HTTP/1.1 200 Connection established\r\n\r\n"
REFUSED_407 = b"HTTP/1.1 407 \r\nContent-Length: 0\r\n\r\n"
HELLO = answer(b"hello")
TUNNEL = perdure.Proxies(tunnel=True)
NETSCAPE = perdure.Proxies(proxy_connection=True)


def reading_proxy() -> Script:
    """A proxy that reads the requests and answers them."""
    while True:
        yield Until(BLANK)
        yield HELLO


def tunnelling_proxy() -> Script:
    """A proxy that opens a tunnel; what answers then is the origin."""
    yield Until(BLANK)
    yield OPEN
    yield from reading_proxy()


@pytest.mark.row("R17", "R21", "S8")
def test_absolute_form_and_one_connection(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        responses = [await stage.ask(path=f"/{number}") for number in range(3)]
        assert [response.connection.uses for response in responses] == [1, 2, 3]
        heads = stage.heard().split(BLANK)
        assert [head.split(b"\r\n")[0] for head in heads[:3]] == [
            b"GET http://origin.test/%d HTTP/1.1" % number for number in range(3)
        ]
        assert b"\r\nHost: origin.test\r\n" in heads[0]
        assert b"onnection:" not in stage.heard()
        assert b"Proxy-Authorization: Basic YWxpY2U6c2VjcmV0\r\n" in stage.heard()

    perform(scene, reading_proxy, as_proxy="alice:secret@")


@pytest.mark.row("S13")
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_proxy_connection_is_said_when_asked_for(perform: Perform, version: str) -> None:
    def proxy() -> Script:
        while True:
            yield Until(BLANK)
            yield b"HTTP/1.0 200 OK\r\nProxy-Connection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok"

    async def scene(stage: Stage) -> None:
        responses = [await stage.ask() for _ in range(2)]
        assert [response.connection.uses for response in responses] == [1, 2]
        assert stage.heard().count(b"\r\nProxy-Connection: keep-alive\r\n") == 2
        assert b"\r\nConnection:" not in stage.heard()

    perform(scene, proxy, as_proxy="", http_version=version, through=NETSCAPE)


@pytest.mark.row("R171", "R180")
def test_a_proxy_is_not_asked_for_keep_alive_otherwise(perform: Perform) -> None:
    def proxy() -> Script:
        yield Until(BLANK)
        yield b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"
        yield CLIENT_END

    async def scene(stage: Stage) -> None:
        response = await stage.ask()
        assert response.connection.ends is Reason.HTTP_10
        assert b"onnection:" not in stage.heard()
        await stage.until(lambda: stage.ended(0))

    perform(scene, proxy, as_proxy="", http_version="1.0")


@pytest.mark.row("R21", "S8")
def test_a_tunnel_carries_origin_form_and_no_credentials(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        responses = [await stage.ask(path=f"/{number}") for number in range(3)]
        assert [response.connection.uses for response in responses] == [1, 2, 3]
        connect, *heads = stage.heard().split(BLANK)
        assert connect.startswith(b"CONNECT origin.test:80 HTTP/1.1\r\nHost: origin.test:80\r\n")
        assert b"Proxy-Authorization: Basic YWxpY2U6c2VjcmV0" in connect
        assert [head.split(b"\r\n")[0] for head in heads[:3]] == [
            b"GET /%d HTTP/1.1" % number for number in range(3)
        ]
        assert b"Proxy-" not in b"".join(heads)

    perform(scene, tunnelling_proxy, as_proxy="alice:secret@", through=TUNNEL)


@pytest.mark.row("R167")
def test_nothing_is_sent_before_the_proxy_has_agreed(perform_in_time: Perform) -> None:
    def proxy() -> Script:
        yield Until(BLANK)
        yield Pause(3.0)
        yield b"HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 4\r\n\r\nlate"
        yield CLIENT_END

    async def scene(stage: Stage) -> None:
        with pytest.raises(perdure.ProxyRefused, match="504 Gateway Timeout") as caught:
            await stage.ask("POST", content=b"secret")
        assert (caught.value.request_sent, caught.value.content) == ("no", b"late")
        assert stage.heard().count(BLANK) == 1
        assert b"POST" not in stage.heard()
        assert stage.statistics().connections == 0

    perform_in_time(scene, proxy, as_proxy="", through=TUNNEL)


@pytest.mark.parametrize(
    ("octets", "signs", "kind", "reason"),
    [
        (REFUSED_407, (), perdure.ProxyAuthenticationRequired, Reason.CONNECT_REJECTED),
        (b"HTTP/1.1 403 \r\n\r\n", (FIN,), perdure.ProxyRefused, Reason.CONNECT_REJECTED),
        (b"rubbish\r\n\r\n", (), perdure.ProxyError, Reason.BAD_SYNTAX),
        (OPEN + HELLO, (), perdure.ProxyError, Reason.SURPLUS_OCTETS),
        (b"HTTP/1.1 2", (FIN,), perdure.ProxyError, Reason.INCOMPLETE),
    ],
)
def test_a_tunnel_that_does_not_open_is_an_error_and_leaves_nothing(
    perform: Perform, octets: bytes, signs: tuple[Sign, ...], kind: type[perdure.ProxyError], reason: Reason
) -> None:
    async def scene(stage: Stage) -> None:
        with pytest.raises(kind) as caught:
            await stage.ask()
        assert type(caught.value) is kind
        assert (caught.value.reason, caught.value.request_sent) == (reason, "no")
        await stage.until(lambda: stage.ended(0))
        assert stage.statistics().connections == 0

    perform(scene, last_words(octets, *signs), as_proxy="", through=TUNNEL)


def test_a_proxy_that_resets_is_an_error(perform: Perform) -> None:
    def proxy() -> Script:
        yield Until(BLANK)
        yield RST

    async def scene(stage: Stage) -> None:
        with pytest.raises(perdure.ProxyError):
            await stage.ask()

    perform(scene, proxy, as_proxy="", through=TUNNEL)


@pytest.mark.parametrize(
    ("said", "kind", "match"),
    [
        (b"H", perdure.ConnectTimeout, "no tunnel within 2 s"),
        (b"HTTP/1.1 200 OK\r\n", perdure.ConnectTimeout, "no tunnel within 2 s"),
        (b"HTTP/1.1 403 No\r\nContent-Length: 9\r\n\r\nbut", perdure.ProxyRefused, "403 No"),
    ],
)
def test_connect_timeout_bounds_the_whole_opening(
    perform_in_time: Perform, said: bytes, kind: type[Exception], match: str
) -> None:
    def proxy() -> Script:
        yield Until(BLANK)
        yield said
        yield CLIENT_END

    async def scene(stage: Stage) -> None:
        with pytest.raises(kind, match=match):
            await stage.ask()
        assert stage.statistics().connections == 0
        await stage.until(lambda: stage.ended(0))

    perform_in_time(scene, proxy, as_proxy="", through=TUNNEL, connect_timeout=2.0)


def test_a_tunnel_that_ends_while_idle_is_opened_anew(perform_in_time: Perform) -> None:
    def closing() -> Script:
        yield Until(BLANK)
        yield OPEN
        yield Until(BLANK)
        yield HELLO
        yield Pause(1.0)
        yield FIN

    async def scene(stage: Stage) -> None:
        await stage.ask()
        await stage.pass_time(2.0)
        response = await stage.ask()
        assert (response.text, response.connection.id, stage.connections) == ("hello", 2, 2)

    perform_in_time(scene, closing, tunnelling_proxy, as_proxy="", through=TUNNEL)


def test_a_cancelled_opening_leaves_nothing(perform_on_loop: Perform) -> None:
    def proxy() -> Script:
        yield Until(BLANK)
        yield CLIENT_END

    async def scene(stage: Stage) -> None:
        asking = asyncio.ensure_future(stage.ask())
        await stage.until(lambda: stage.connections == 1 and BLANK in stage.heard())
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert stage.statistics().leased == 0

    perform_on_loop(scene, proxy, as_proxy="", through=TUNNEL)


def test_content_goes_through_a_tunnel_whole(perform: Perform) -> None:
    octets = bytes(range(256)) * 1024

    def proxy() -> Script:
        yield Until(BLANK)
        yield OPEN
        yield Until(BLANK)
        received = yield Exactly(len(octets))
        yield answer(received)

    async def scene(stage: Stage) -> None:
        assert (await stage.ask("PUT", content=octets)).content == octets

    perform(scene, proxy, as_proxy="", through=TUNNEL)
