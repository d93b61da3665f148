"""Applications of Starlette, FastAPI and Django run unchanged on perdure.Server, over real sockets."""

from __future__ import annotations

import asyncio
import gc
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus

import perdure
from perdure.wire.network import LoopNetwork, Network
from perdure.wire.raw import RawPeer
from tests.server.framework_applications import (
    PIECE,
    PIECES,
    Diary,
    django_application,
    fastapi_application,
    starlette_application,
)
from tests.server.stand import let_pass
from tests.wire.conftest import Play

FILE = bytes(range(256)) * 4096
FORM = (
    b'--edge\r\nContent-Disposition: form-data; name="title"\r\n\r\na title\r\n'
    b'--edge\r\nContent-Disposition: form-data; name="document"; filename="a.bin"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n%b\r\n--edge--\r\n"
) % (FILE)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A mebibyte."""
    file = tmp_path / "file.bin"
    file.write_bytes(FILE)
    return file


class Table:
    """A running server with what asks it."""

    def __init__(self, server: perdure.Server, client: perdure.AsyncClient) -> None:
        self.server = server
        self.client = client
        self.url = server.urls[0]

    async def json(self, target: str) -> Any:
        """Ask, and read JSON."""
        response = await self.client.get(self.url + target)
        assert response.status == 200, response
        return response.json()

    async def says(self, octets: bytes) -> RawPeer:
        """A client of literal octets."""
        peer = await RawPeer.dial(LoopNetwork(), "127.0.0.1", int(self.url.rpartition(":")[2]))
        peer.send(octets)
        return peer

    def websocket(self, target: str, **options: Any) -> connect:
        """A client of the websockets library."""
        return connect(self.url.replace("http", "ws") + target, proxy=None, **options)


@asynccontextmanager
async def table(application: Any, **settings: Any) -> AsyncIterator[Table]:
    """Serve an application."""
    settings.setdefault("drain_timeout", 5.0)
    async with (
        perdure.Server(application, bind="127.0.0.1:0", **settings) as server,
        perdure.AsyncClient() as client,
    ):
        yield Table(server, client)


def upload_request(content: bytes) -> dict[str, Any]:
    return {"content": content, "headers": {"Content-Type": "multipart/form-data; boundary=edge"}}


# Starlette.


def test_starlette_routes_answers_streams_and_sends_files(play_on_sockets: Play, file: Path) -> None:
    async def scene(_: Network) -> None:
        diary = Diary()
        async with table(starlette_application(diary, file)) as it:
            assert await it.json("/hello/caf%C3%A9?a=b") == {
                "hello": "café",
                "query": {"a": "b"},
                "state": True,
            }
            streamed = await it.client.get(it.url + "/stream")
            assert streamed.content == PIECE * PIECES
            sent = await it.client.get(it.url + "/file")
            assert (sent.content, sent.headers["content-length"]) == (FILE, str(len(FILE)))
            part = await it.client.get(it.url + "/file", headers={"Range": "bytes=1-3"})
            assert (part.status, part.content) == (206, FILE[1:4])
            head = await it.client.head(it.url + "/file")
            assert (head.content, head.headers["content-length"]) == (b"", str(len(FILE)))
            unchanged = await it.client.get(it.url + "/nowhere")
            assert unchanged.status == 404
            assert (await it.client.get(it.url + "/background")).text == "soon"
            await diary.until("background")
            uploaded = await it.client.post(it.url + "/upload", **upload_request(FORM))
            assert uploaded.json() == {"name": "a.bin", "octets": len(FILE), "title": "a title"}
            counted = await it.client.post(it.url + "/body", content=[b"a" * 70000, b"b"])
            assert counted.text == "70001"
            assert it.client.statistics().dialled == 1, "one connection for all of it"
        assert diary.words[0] == "startup"
        assert diary.words[-1] == "shutdown"

    play_on_sockets(scene)


def test_an_exception_in_starlette_is_a_500_and_the_connection_persists(
    play_on_sockets: Play, file: Path
) -> None:
    async def scene(_: Network) -> None:
        async with table(starlette_application(Diary(), file)) as it:
            assert (await it.client.get(it.url + "/raising")).status == 500
            assert (await it.json("/hello/again"))["hello"] == "again"
            assert it.client.statistics().dialled == 1

    play_on_sockets(scene)


def test_httpx_asks_starlette_too(play_on_sockets: Play, file: Path) -> None:
    async def scene(_: Network) -> None:
        async with table(starlette_application(Diary(), file)) as it, httpx.AsyncClient() as client:
            assert (await client.get(it.url + "/hello/x")).json()["hello"] == "x"
            answer = await client.post(
                it.url + "/upload", data={"title": "t"}, files={"document": ("n.bin", FILE)}
            )
            assert answer.json() == {"name": "n.bin", "octets": len(FILE), "title": "t"}
            async with client.stream("GET", it.url + "/stream") as streamed:
                assert sum([len(piece) async for piece in streamed.aiter_bytes()]) == len(PIECE) * PIECES

    play_on_sockets(scene)


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["starlette", "django"])
def test_the_generator_of_a_response_is_ended_when_the_client_goes(
    play_on_sockets: Play, file: Path, framework: str
) -> None:
    async def scene(_: Network) -> None:
        diary = Diary()
        make = starlette_application if framework == "starlette" else django_application
        async with table(make(diary, file)) as it:
            peer = await it.says(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
            await peer.receive_exactly(len(PIECE))
            peer.abort()
            async with asyncio.timeout(10):
                while "generator ended" not in diary.words:
                    gc.collect()  # Django leaves the generator to the garbage collector
                    await let_pass(0.001)

    play_on_sockets(scene)


def test_is_disconnected_becomes_true(play_on_sockets: Play, file: Path) -> None:
    async def scene(_: Network) -> None:
        diary = Diary()
        async with table(starlette_application(diary, file)) as it:
            peer = await it.says(b"GET /patient HTTP/1.1\r\nHost: x\r\n\r\n")
            await diary.until("waiting")
            assert "disconnected" not in diary.words
            peer.abort()
            await diary.until("disconnected")

    play_on_sockets(scene)


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 100", b"Transfer-Encoding: chunked"], ids=["length", "chunked"]
)
@pytest.mark.parametrize("how", ["fin", "rst"])
def test_an_upload_that_breaks_off_raises_client_disconnect(
    play_on_sockets: Play, file: Path, framing: bytes, how: str
) -> None:
    async def scene(_: Network) -> None:
        diary = Diary()
        async with table(starlette_application(diary, file)) as it:
            peer = await it.says(b"POST /body HTTP/1.1\r\nHost: x\r\n%b\r\n\r\n5\r\nabcde" % framing)
            await diary.until("reading")
            if how == "fin":
                peer.half_close()
            else:
                peer.abort()
            await diary.until("ClientDisconnect")
            peer.abort()

    play_on_sockets(scene)


@pytest.mark.parametrize("framework", ["starlette", "django"])
def test_what_does_not_end_is_cancelled_when_the_drain_timeout_is_over(
    play_on_sockets: Play, file: Path, framework: str
) -> None:
    async def scene(_: Network) -> None:
        diary = Diary()
        make = starlette_application if framework == "starlette" else django_application
        async with table(make(diary, file), drain_timeout=0.1) as it:
            peer = await it.says(b"GET /stuck HTTP/1.1\r\nHost: x\r\n\r\n")
            await diary.until("stuck")
        assert [word for word in diary.words if word != "startup"][:2] == ["stuck", "cancelled"]
        await peer.wait_lost()

    play_on_sockets(scene)


def test_a_websocket_of_starlette_s_talks_to_the_websockets_library(
    play_on_sockets: Play, file: Path
) -> None:
    async def scene(_: Network) -> None:
        diary = Diary()
        async with table(starlette_application(diary, file)) as it:
            async with it.websocket("/echo", subprotocols=["other", "chat"]) as websocket:
                assert websocket.subprotocol == "chat"
                for words in ("one", "€", "long " * 100000):
                    await websocket.send(words)
                    assert await websocket.recv() == f"you said {words}"
                await websocket.send(["in ", "three ", "fragments"])
                assert await websocket.recv() == "you said in three fragments"
                await (await websocket.ping())
            assert (websocket.close_code, websocket.close_reason) == (1000, "")
            await diary.until("WebSocketDisconnect")
            async with it.websocket("/echo", compression=None) as websocket:
                await websocket.send("plain")
                assert await websocket.recv() == "you said plain"
            with pytest.raises(InvalidStatus) as denied:
                await it.websocket("/deny")
            assert denied.value.response.status_code == 401
            assert json.loads(denied.value.response.body or b"") == {"detail": "no"}
            with pytest.raises(InvalidStatus) as refused:
                await it.websocket("/hello/x")
            assert refused.value.response.status_code == 403, "no route for a WebSocket"

    play_on_sockets(scene)


@pytest.mark.slow
def test_a_websocket_in_tls_talks_to_the_websockets_library(
    play_on_sockets: Play, file: Path, tmp_path: Path
) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    paths = {"tls_cert": tmp_path / "cert.pem", "tls_key": tmp_path / "key.pem"}
    certificate.cert_chain_pems[0].write_to_path(str(paths["tls_cert"]))
    certificate.private_key_pem.write_to_path(str(paths["tls_key"]))
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    async def scene(_: Network) -> None:
        diary = Diary()
        settings = {name: str(path) for name, path in paths.items()}
        async with table(starlette_application(diary, file), **settings, websocket_max_message=2000000) as it:
            assert it.url.startswith("https://")
            async with it.websocket("/echo", ssl=trusting, max_size=None) as websocket:
                assert websocket.request is not None
                for words in ("one", "€", "long " * 300000):
                    await websocket.send(words)
                    assert await websocket.recv() == f"you said {words}"
                await (await websocket.ping())
            assert (websocket.close_code, websocket.close_reason) == (1000, "")
            await diary.until("WebSocketDisconnect")
            async with it.websocket("/echo", ssl=trusting, compression=None) as websocket:
                await websocket.send("x" * 2000001)
                with pytest.raises(ConnectionClosedError) as closed:
                    await websocket.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1009

    play_on_sockets(scene)


def test_the_websockets_library_is_told_of_a_shutdown(play_on_sockets: Play, file: Path) -> None:
    async def scene(_: Network) -> None:
        async with table(starlette_application(Diary(), file)) as it:
            async with it.websocket("/echo") as websocket:
                closing = asyncio.create_task(it.server.close())
                with pytest.raises(ConnectionClosedError) as closed:
                    await websocket.recv()
            assert closed.value.rcvd is not None
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1012, "the server is shutting down")
            await closing

    play_on_sockets(scene)


# FastAPI.


def test_fastapi_validates_depends_uploads_and_works_in_the_background(play_on_sockets: Play) -> None:
    async def scene(_: Network) -> None:
        diary = Diary()
        async with table(fastapi_application(diary)) as it:
            item = {"number": 7, "q": "x", "greeting": "hello", "given": "given"}
            assert await it.json("/items/7?q=x") == item
            await diary.until("dependency ended")
            assert (await it.client.get(it.url + "/items/seven")).status == 422
            assert await it.json("/threaded") == {"threaded": True}
            await diary.until("background")
            uploaded = await it.client.post(it.url + "/upload", **upload_request(FORM))
            assert uploaded.json() == {"name": "a.bin", "octets": len(FILE), "title": "a title"}
            assert "/items/{number}" in (await it.json("/openapi.json"))["paths"]
            assert it.client.statistics().dialled == 1
        assert (diary.words[0], diary.words[-1]) == ("startup", "shutdown")

    play_on_sockets(scene)


def test_a_websocket_of_fastapi_s(play_on_sockets: Play) -> None:
    async def scene(_: Network) -> None:
        async with table(fastapi_application(Diary())) as it:
            async with it.websocket("/echo") as websocket:
                await websocket.send('{"a": 1}')
                assert json.loads(await websocket.recv()) == {"echo": {"a": 1}}
                with pytest.raises(ConnectionClosedError) as closed:
                    await websocket.recv()
            assert closed.value.rcvd is not None
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4000, "enough")
            with pytest.raises(InvalidStatus) as refused:
                await it.websocket("/forbidden")
            assert refused.value.response.status_code == 403

    play_on_sockets(scene)


# Django.


def test_django_routes_answers_streams_and_takes_files(play_on_sockets: Play, file: Path) -> None:
    async def scene(_: Network) -> None:
        async with table(django_application(Diary(), file)) as it:
            hello = {"hello": "x", "query": {"a": "b"}, "scheme": "http"}
            assert await it.json("/hello/x?a=b") == hello
            assert (await it.client.get(it.url + "/stream")).content == PIECE * PIECES
            uploaded = await it.client.post(it.url + "/upload", **upload_request(FORM))
            assert uploaded.json() == {"name": "a.bin", "octets": len(FILE), "title": "a title"}
            assert (await it.client.get(it.url + "/nowhere")).status == 404
            assert it.client.statistics().dialled == 1

    play_on_sockets(scene)


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume synchronous iterators:Warning")
def test_django_sends_a_file(play_on_sockets: Play, file: Path) -> None:
    async def scene(_: Network) -> None:
        async with table(django_application(Diary(), file)) as it:
            assert (await it.client.get(it.url + "/file")).content == FILE

    play_on_sockets(scene)
