"""ASGI applications that the tests serve with `perdure serve`."""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

from tests.peers_application import answer_lifespan

PAGE = b"""<!doctype html><title>perdure</title><p id="result">waiting</p><script>
(async () => {
  for (let number = 0; number < 12; number++) await (await fetch("/object?" + number)).text();
  document.getElementById("result").textContent = await (await fetch("/ports")).text();
})();
</script>"""
MEBIBYTE = bytes(1048576)

_ports: dict[int, int] = {}


async def _answer(send: Send, kind: bytes, content: bytes) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
    await send({"type": "http.response.body", "body": content})


async def counting(scope: Scope, receive: Receive, send: Send) -> None:
    """A page that fetches twelve objects and then asks over how many connections they came."""
    if scope["type"] == "lifespan":
        await answer_lifespan(receive, send)
        return
    if scope["path"] == "/":
        await _answer(send, b"text/html", PAGE)
    elif scope["path"] == "/ports":
        text = f"{sum(_ports.values())} objects over {len(_ports)} connections"
        await _answer(send, b"text/plain", text.encode())
    else:
        if scope["path"] == "/object":
            port = scope["client"][1]
            _ports[port] = _ports.get(port, 0) + 1
        await _answer(send, b"text/plain", b"an object")


async def swallowing(scope: Scope, receive: Receive, send: Send) -> None:
    """Says how many octets of content came; `GET /N` answers with N mebibytes of its own."""
    if scope["type"] == "lifespan":
        await answer_lifespan(receive, send)
        return
    octets = 0
    more = True
    while more:
        message = await receive()
        octets += len(message.get("body", b""))
        more = message.get("more_body", False)
    if scope["method"] != "GET":
        await _answer(send, b"text/plain", str(octets).encode())
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(int(scope["path"][1:])):
        await send({"type": "http.response.body", "body": MEBIBYTE, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
