"""A page that opens a WebSocket to where it came from, says something and shows what it hears."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

PAGE = """<!doctype html><title>perdure</title><p id="result">waiting</p><script>
const socket = new WebSocket(location.href.replace("http", "ws") + "echo", ["other", "chat"]);
const heard = [];
socket.onopen = () => socket.send("hello ".repeat(1000));
socket.onmessage = (event) => heard.push(event.data.length);
socket.onclose = (event) => document.getElementById("result").textContent =
  [socket.protocol, socket.extensions, ...heard, event.code, event.reason, event.wasClean].join(" ");
</script>"""


async def page(request: Request) -> HTMLResponse:
    """The page."""
    return HTMLResponse(PAGE)


async def echo(websocket: WebSocket) -> None:
    """Send one message back, then close."""
    await websocket.accept(subprotocol="chat")
    await websocket.send_text(await websocket.receive_text())
    await websocket.close(4321, "enough")


application = Starlette(routes=[Route("/", page), WebSocketRoute("/echo", echo)])
