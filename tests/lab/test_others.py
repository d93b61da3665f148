"""Other clients send the same requests, and what they lose is counted."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from perdure.lab.others import NOT_INSTALLED, PROGRAMS, main
from tests.programs import ENVIRONMENT


class Handler(BaseHTTPRequestHandler):
    """Answers every POST but those to /1."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        if self.path == "/1":
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *arguments: object) -> None:
        """Nobody wants to know."""


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_request_that_is_not_answered_is_counted_and_the_next_is_sent(name: str, url: str) -> None:
    command = [sys.executable, "-m", "perdure.lab.others", name, url, "0.01", "0.01"]
    result = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=60)
    if result.returncode == NOT_INSTALLED:
        pytest.skip(f"{name} is not installed")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == {"lost": 1}


def test_library_that_is_not_installed_is_a_status_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "requests", None)
    assert main(["requests", "http://127.0.0.1:1/"]) == NOT_INSTALLED
