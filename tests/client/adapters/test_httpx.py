"""httpx and httpx2 over our connections: what they ask and what they get."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from perdure.client.adapters.httpx import AsyncTransport, Transport
from perdure.wire.scripted import (
    CLIENT_END,
    Exactly,
    Pause,
    Script,
    Until,
)
from tests.client.adapters.conftest import (
    HELLO,
    Perform,
    Stage,
    SyncStage,
    silent_after,
)
from tests.client.adapters.local_origin import Origin
from tests.client.conftest import BLANK, Peer, answer, says


def test_a_request_goes_out_as_httpx_made_it(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        response = await stage.ask(path="/a%20b?c=%2F", headers={"X-Own": "one"})
        assert (response.status_code, response.text) == (200, "hello")
        head = stage.heard().split(b"\r\n")
        assert head[0] == b"GET /a%20b?c=%2F HTTP/1.1"
        names = [line.partition(b":")[0].lower() for line in head[1:-2]]
        assert names == [b"host", b"accept", b"accept-encoding", b"user-agent", b"x-own"]
        assert b"python-httpx" in stage.heard()

    perform(scene, says(HELLO))


def test_requests_share_a_connection(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        for _ in range(5):
            assert (await stage.ask()).text == "hello"
        assert stage.statistics().dialled == 1
        assert stage.statistics().reused == 4

    perform(scene, says(*[HELLO] * 5))


def test_extensions_tell_of_the_response_and_its_connection(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        response = await stage.ask()
        assert response.extensions["http_version"] == b"HTTP/1.1"
        assert response.extensions["reason_phrase"] == b"Fine"
        assert (response.reason_phrase, response.http_version) == ("Fine", "HTTP/1.1")
        assert response.extensions["perdure_connection"].uses == 1
        stream = response.extensions["network_stream"]
        assert len(stream.get_extra_info("server_addr")) == 2
        assert stream.get_extra_info("client_addr") != stream.get_extra_info("server_addr")
        assert stream.get_extra_info("ssl_object") is None
        assert stream.get_extra_info("something else") is None

    perform(scene, says(answer(b"", status=b"200 Fine")))


def test_content_codings_are_left_to_httpx(perform: Perform) -> None:
    packed = gzip.compress(b"hello" * 100)

    async def scene(stage: Stage) -> None:
        assert (await stage.ask()).text == "hello" * 100
        response = await stage.open()
        assert b"".join([piece async for piece in stage.pieces(response)]) == packed
        await stage.close(response)

    perform(scene, says(*[answer(packed, b"Content-Encoding: gzip")] * 2))


def test_lines_of_a_response_come_as_they_were_received(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        response = await stage.ask()
        assert [(name, value) for name, value in response.headers.raw if name != b"Content-Length"] == [
            (b"SET-Cookie", b"a=1"),
            (b"Set-Cookie", b"b=2"),
        ]
        assert dict(response.cookies) == {"a": "1", "b": "2"}

    perform(scene, says(answer(b"", b"SET-Cookie: a=1", b"Set-Cookie: b=2")))


def test_a_redirect_keeps_the_connection(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        response = await stage.ask(path="/old", follow_redirects=True)
        assert [old.status_code for old in response.history] == [302]
        assert stage.heard().count(b"GET /new HTTP/1.1") == 1
        assert stage.statistics().dialled == 1

    perform(scene, says(answer(b"elsewhere", b"Location: /new", status=b"302 Found"), HELLO))


# --- content ------------------------------------------------------------------------------


def uploads(octets: int, response: bytes = HELLO) -> Peer:
    def peer() -> Script:
        yield Until(BLANK)
        yield Exactly(octets)
        yield response
        yield CLIENT_END

    return peer


def test_content_of_known_length_has_one(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        await stage.ask("PUT", content=b"x" * 100_000)
        head, _, content = stage.heard().partition(BLANK)
        assert head.count(b"Content-Length: 100000") == 1
        assert content == b"x" * 100_000

    perform(scene, uploads(100_000))


def test_content_from_an_iterator_is_sent_in_chunks_as_it_comes(perform: Perform) -> None:
    chunks = b"5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n"

    async def scene(stage: Stage) -> None:
        def pieces() -> Iterator[bytes]:
            yield b"first"
            yield b"second"

        async def async_pieces() -> AsyncIterator[bytes]:
            for piece in pieces():
                yield piece

        content: Any = pieces() if isinstance(stage, SyncStage) else async_pieces()
        await stage.ask("POST", content=content)
        head, _, content = stage.heard().partition(BLANK)
        assert head.lower().count(b"transfer-encoding: chunked") == 1
        assert content == chunks

    perform(scene, uploads(len(chunks)))


def test_a_multipart_form_is_streamed_with_its_length(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        await stage.ask("POST", files={"file": ("name.txt", b"x" * 70_000)}, data={"field": "value"})
        head, _, content = stage.heard().partition(BLANK)
        assert b"Content-Length: %d" % len(content) in head
        assert b'name="field"' in content
        assert b"x" * 70_000 in content

    def peer() -> Script:
        yield Until(b"--\r\n")
        yield HELLO
        yield CLIENT_END

    perform(scene, peer)


def test_content_waits_where_a_request_says_so(perform: Perform) -> None:
    """RFC 9110 §10.1.1."""

    async def scene(stage: Stage) -> None:
        expects = {"Expect": "100-continue"}
        assert (await stage.ask("PUT", content=b"first", headers=expects)).text == "hello"
        assert (await stage.ask("PUT", content=b"second", headers=expects)).status_code == 417
        assert b"first" in stage.heard()
        assert b"second" not in stage.heard() + stage.heard(1)

    def asks() -> Script:
        yield Until(BLANK)
        yield b"HTTP/1.1 100 Continue\r\n\r\n"
        yield Exactly(5)
        yield HELLO
        yield CLIENT_END

    def refuses() -> Script:
        yield Until(BLANK)
        yield answer(b"no", b"Connection: close", status=b"417 Expectation Failed")
        yield CLIENT_END

    perform(scene, asks, refuses, max_requests=1)


def test_an_error_in_the_content_of_a_request_is_the_callers_own(perform: Perform) -> None:
    class Faulty(Exception):
        pass

    async def scene(stage: Stage) -> None:
        def pieces() -> Iterator[bytes]:
            yield b"first"
            raise Faulty

        async def async_pieces() -> AsyncIterator[bytes]:
            for piece in pieces():
                yield piece

        with pytest.raises(Faulty):
            await stage.ask("POST", content=pieces() if isinstance(stage, SyncStage) else async_pieces())
        assert stage.statistics().connections == 0  # half a request was on it

    perform(scene, silent_after(b""))


# --- streaming ------------------------------------------------------------------------------


def test_pieces_come_as_they_arrive(perform: Perform) -> None:
    def peer() -> Script:
        yield Until(BLANK)
        yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n"
        yield Pause(5.0)
        yield b"3\r\ntwo\r\n0\r\n\r\n"
        yield Until(BLANK)
        yield HELLO

    async def scene(stage: Stage) -> None:
        response = await stage.open()
        assert [piece async for piece in stage.pieces(response)] == [b"one", b"two"]
        await stage.close(response)
        assert (await stage.ask()).text == "hello"
        assert stage.statistics().dialled == 1

    perform(scene, peer)


@pytest.mark.parametrize(("left", "dialled"), [(b"x" * 100, 1), (b"x" * 500_000, 2)])
def test_a_response_closed_early_keeps_its_connection_if_little_is_left(
    perform: Perform, left: bytes, dialled: int
) -> None:
    async def scene(stage: Stage) -> None:
        await stage.close(await stage.open())
        assert stage.statistics().leased == 0
        assert (await stage.ask()).text == "hello"
        assert stage.statistics().dialled == dialled

    perform(scene, says(answer(left), HELLO), says(HELLO))


def test_a_response_without_content_keeps_its_connection_unread(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        await stage.close(await stage.open("HEAD"))
        await stage.ask()
        assert stage.statistics().dialled == 1

    perform(scene, says(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", HELLO))


# --- TLS ------------------------------------------------------------------------------


def ask_over_tls(package: Any, asynchronous: bool, url: str, **options: Any) -> Any:
    extensions = options.pop("extensions", {})

    async def ask() -> Any:
        async with package.AsyncClient(transport=AsyncTransport(**options)) as client:
            return await client.get(url, extensions=extensions)

    if asynchronous:
        return asyncio.run(ask())
    with package.Client(transport=Transport(**options)) as client:
        return client.get(url, extensions=extensions)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_certificates_are_verified_as_is_asked(
    package: Any, asynchronous: bool, tls_origin: Origin, authority_file: str
) -> None:
    url = f"{tls_origin.url}/get"
    context = ssl.create_default_context(cafile=authority_file)
    for verify in (authority_file, context, False):
        assert ask_over_tls(package, asynchronous, url, verify=verify).status_code == 200
    with pytest.raises(package.ConnectError, match="certificate"):
        ask_over_tls(package, asynchronous, url)


def test_the_environment_names_authorities_unless_it_is_not_trusted(
    package: Any, tls_origin: Origin, authority_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", authority_file)
    assert ask_over_tls(package, False, f"{tls_origin.url}/get").status_code == 200


@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_sni_hostname_extension_is_the_name_that_tls_asks_for(
    package: Any, asynchronous: bool, tls_origin: Origin, authority_file: str
) -> None:
    def ask(name: str) -> Any:
        extensions = {"sni_hostname": name}
        return ask_over_tls(
            package, asynchronous, f"{tls_origin.url}/get", verify=authority_file, extensions=extensions
        )

    assert ask("origin.test").status_code == 200
    with pytest.raises(package.ConnectError, match=r"elsewhere\.test"):
        ask("elsewhere.test")
