"""Applications in the frameworks that people use, written as their documentation says, for perdure to serve.

Nothing here knows which server it runs on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import django
import fastapi
from django.conf import settings as django_settings
from django.core.asgi import get_asgi_application
from django.http import FileResponse as DjangoFile
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.http import StreamingHttpResponse as DjangoStream
from django.urls import path
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

PIECES = 50
PIECE = b"0123456789abcdef" * 1024


class Diary:
    """What happened in an application: words in order, and a way to wait for one."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self._changed = asyncio.Event()

    def note(self, word: str) -> None:
        """Write a word."""
        self.words.append(word)
        self._changed.set()

    async def until(self, word: str) -> None:
        """Wait for a word."""
        async with asyncio.timeout(10):
            while word not in self.words:
                self._changed.clear()
                await self._changed.wait()


def _routes_for_clients_that_go(diary: Diary) -> list[Route]:
    """What tells how it learned that its client went, or that the server stops."""

    async def endless(request: Request) -> Response:
        return StreamingResponse(_endless(diary))

    async def body(request: Request) -> Response:
        diary.note("reading")
        try:
            octets = 0
            async for piece in request.stream():
                octets += len(piece)
        except ClientDisconnect:
            diary.note("ClientDisconnect")
            raise
        return PlainTextResponse(str(octets))

    async def patient(request: Request) -> Response:
        diary.note("waiting")
        while not await request.is_disconnected():  # noqa: ASYNC110 - as its documentation does
            await asyncio.sleep(0.01)
        diary.note("disconnected")
        return PlainTextResponse("nobody hears it")

    async def stuck(request: Request) -> Response:
        diary.note("stuck")
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            diary.note("cancelled")
            raise
        return Response()

    return [
        Route("/endless", endless),
        Route("/body", body, methods=["POST"]),
        Route("/patient", patient),
        Route("/stuck", stuck),
    ]


def starlette_application(diary: Diary, file: Path) -> Starlette:
    """Every kind of response and request of Starlette's."""

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[dict[str, Any]]:
        diary.note("startup")
        yield {"diary": diary}
        diary.note("shutdown")

    async def hello(request: Request) -> Response:
        same = request.state.diary is diary
        return JSONResponse(
            {"hello": request.path_params["name"], "query": dict(request.query_params), "state": same}
        )

    async def send_file(request: Request) -> Response:
        return FileResponse(file)

    async def stream(request: Request) -> Response:
        return StreamingResponse(_pieces(PIECES))

    async def background(request: Request) -> Response:
        return PlainTextResponse("soon", background=BackgroundTask(diary.note, "background"))

    async def upload(request: Request) -> Response:
        async with request.form() as form:
            document = form["document"]
            assert not isinstance(document, str)
            content = await document.read()
            return JSONResponse({"name": document.filename, "octets": len(content), "title": form["title"]})

    async def raising(request: Request) -> Response:
        raise ZeroDivisionError

    async def echo(websocket: WebSocket) -> None:
        await websocket.accept(subprotocol="chat" if "chat" in websocket.scope["subprotocols"] else None)
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                await websocket.send_text(f"you said {await websocket.receive_text()}")
        diary.note("WebSocketDisconnect")

    async def deny(websocket: WebSocket) -> None:
        await websocket.send_denial_response(JSONResponse({"detail": "no"}, status_code=401))

    routes: list[Route | WebSocketRoute] = [
        Route("/hello/{name}", hello),
        Route("/file", send_file),
        Route("/stream", stream),
        Route("/background", background),
        Route("/upload", upload, methods=["POST"]),
        Route("/raising", raising),
        WebSocketRoute("/echo", echo),
        WebSocketRoute("/deny", deny),
        *_routes_for_clients_that_go(diary),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


async def _pieces(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield PIECE


async def _endless(diary: Diary) -> AsyncIterator[bytes]:
    try:
        while True:
            yield PIECE
            await asyncio.sleep(0)
    finally:
        diary.note("generator ended")


async def dependency(request: fastapi.Request) -> AsyncIterator[str]:
    """What FastAPI opens before a view and closes after it."""
    yield "given"
    request.app.state.diary.note("dependency ended")


def fastapi_application(diary: Diary) -> fastapi.FastAPI:
    """Routing by types, validation, dependencies, files, background tasks, WebSockets."""

    @contextlib.asynccontextmanager
    async def lifespan(_: fastapi.FastAPI) -> AsyncIterator[dict[str, Any]]:
        diary.note("startup")
        yield {"greeting": "hello"}
        diary.note("shutdown")

    application = fastapi.FastAPI(lifespan=lifespan)

    application.state.diary = diary

    @application.get("/items/{number}")
    async def item(
        number: int, request: fastapi.Request, given: Annotated[str, fastapi.Depends(dependency)], q: str = ""
    ) -> dict[str, Any]:
        return {"number": number, "q": q, "greeting": request.state.greeting, "given": given}

    @application.get("/threaded")
    def threaded(later: fastapi.BackgroundTasks) -> dict[str, bool]:
        later.add_task(diary.note, "background")
        return {"threaded": True}

    @application.post("/upload")
    async def upload(
        document: fastapi.UploadFile, title: Annotated[str, fastapi.Form()]
    ) -> dict[str, object]:
        return {"name": document.filename, "octets": len(await document.read()), "title": title}

    @application.websocket("/echo")
    async def echo(websocket: fastapi.WebSocket) -> None:
        await websocket.accept()
        message = await websocket.receive_json()
        await websocket.send_json({"echo": message})
        await websocket.close(4000, "enough")

    @application.websocket("/forbidden")
    async def forbidden(websocket: fastapi.WebSocket) -> None:
        raise fastapi.WebSocketException(code=fastapi.status.WS_1008_POLICY_VIOLATION)

    return application


def django_application(diary: Diary, file: Path) -> Any:
    """Views of Django's, those that are coroutines and those that are not."""

    async def hello(request: HttpRequest, name: str) -> HttpResponseBase:
        return JsonResponse({"hello": name, "query": request.GET.dict(), "scheme": request.scheme})

    def upload(request: HttpRequest) -> HttpResponseBase:
        document = request.FILES["document"]
        assert not isinstance(document, list)
        return JsonResponse({"name": document.name, "octets": document.size, "title": request.POST["title"]})

    async def stream(request: HttpRequest) -> HttpResponseBase:
        return DjangoStream(_pieces(PIECES))

    async def endless(request: HttpRequest) -> HttpResponseBase:
        return DjangoStream(_endless(diary))

    def send_file(request: HttpRequest) -> HttpResponseBase:
        return DjangoFile(file.open("rb"))

    async def stuck(request: HttpRequest) -> HttpResponseBase:
        diary.note("stuck")
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            diary.note("cancelled")
            raise
        return JsonResponse({})

    if not django_settings.configured:
        django_settings.configure(
            ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="of a test", USE_TZ=True
        )
        django.setup()
    urlpatterns[:] = [
        path("hello/<name>", hello),
        path("upload", upload),
        path("stream", stream),
        path("endless", endless),
        path("file", send_file),
        path("stuck", stuck),
    ]
    return get_asgi_application()


urlpatterns: list[Any] = []
