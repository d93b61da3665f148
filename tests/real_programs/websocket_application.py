"""A WebSocket that says back what it hears, until it is told to end; another one that refuses everybody."""

from __future__ import annotations

import asyncio

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

PAGE = """<!doctype html><title>perdure</title><p id="result">waiting</p><img src="/while"><script>
const socket = new WebSocket(location.href.replace("http", "ws") + "echo", ["other", "chat"]);
const heard = [];
socket.onopen = () => { socket.send("hello ".repeat(1000)); socket.send("end"); };
socket.onmessage = (event) => heard.push(event.data.length);
socket.onclose = (event) => document.getElementById("result").textContent =
  [socket.protocol, socket.extensions, ...heard, event.code, event.reason, event.wasClean].join(" ");
</script>"""
ended = asyncio.Event()


async def page(request: Request) -> HTMLResponse:
    """A page that talks to `echo` and shows what it hears."""
    return HTMLResponse(PAGE)


async def wait(request: Request) -> Response:
    """Answer a second after the WebSocket has ended: the page is not loaded before."""
    await ended.wait()
    await asyncio.sleep(1)
    return Response()


async def echo(websocket: WebSocket) -> None:
    """Send each message back; "end" closes with 4321."""
    await websocket.accept(subprotocol="chat" if "chat" in websocket.scope["subprotocols"] else None)
    try:
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("text") == "end":
                await websocket.close(4321, "enough")
                ended.set()
                return
            if message.get("text") is not None:
                await websocket.send_text(message["text"])
            else:
                await websocket.send_bytes(message["bytes"])
    except WebSocketDisconnect:
        return


async def refuse(websocket: WebSocket) -> None:
    """Answer the handshake with 403."""
    await websocket.close()


application = Starlette(
    routes=[
        Route("/", page),
        Route("/while", wait),
        WebSocketRoute("/echo", echo),
        WebSocketRoute("/refused", refuse),
    ]
)
