"""docs/howto/client.md: every example in it runs, and what it asserts holds."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import perdure
from perdure.client.digest import DigestAuth

PAGE = Path(__file__).resolve().parent.parent / "docs" / "howto" / "client.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
PATIENCE_SECONDS = 20.0
BASIC = "Basic bWU6c2VjcmV0"
CHALLENGE = 'Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256'


class Handler(BaseHTTPRequestHandler):
    """The server of the examples: one of the standard library, so another reader of our octets."""

    protocol_version = "HTTP/1.1"

    def handle_any(self) -> None:
        """Answer by the path."""
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        said = self.headers.get("Authorization", "")
        path = self.path.partition("?")[0]
        fields: dict[str, str] = {}
        status, answer = 200, content or b"hello"
        if path == "/lines":
            answer = b"one\r\ntwo\n"
        elif path == "/moved":
            status, fields = 302, {"Location": "/hello"}
        elif path == "/cookie":
            fields = {"Set-Cookie": "id=7"}
        elif path == "/basic" and said != BASIC:
            status, fields = 401, {"WWW-Authenticate": 'Basic realm="r"'}
        elif path == "/digest" and not said.startswith('Digest username="me", realm="r", nonce="n"'):
            status, fields = 401, {"WWW-Authenticate": CHALLENGE}
        elif path == "/token" and said != "Bearer new":
            status = 401
        self.send_response(status)
        for name, value in {
            "Content-Type": "text/plain",
            **fields,
            "Content-Length": str(len(answer)),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PUT = handle_any

    def log_message(self, format: str, *values: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The server's."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join(PATIENCE_SECONDS)


def run(example: str, names: dict[str, Any]) -> None:
    """Run an example; one that awaits, on an event loop."""
    code = compile(example, str(PAGE), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    made = eval(code, names)
    if inspect.iscoroutine(made):
        asyncio.run(asyncio.wait_for(made, PATIENCE_SECONDS))


@pytest.mark.parametrize("example", EXAMPLES, ids=[str(number) for number in range(len(EXAMPLES))])
def test_example(example: str, url: str, tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(bytes(100_000))
    run(example, {"perdure": perdure, "url": url, "path": str(path)})


def test_an_example_that_does_not_hold_is_noticed(url: str) -> None:
    for example in ("assert url == ''", "async with perdure.AsyncClient() as client:\n    assert False"):
        with pytest.raises(AssertionError):
            run(example, {"perdure": perdure, "url": url})


def test_the_page_names_what_is_public() -> None:
    named = set(re.findall(r"perdure\.([A-Z]\w+)", PAGE.read_text("utf-8")))
    assert named <= set(perdure.__all__)
    assert perdure.DigestAuth is DigestAuth
    assert len(EXAMPLES) > 10
