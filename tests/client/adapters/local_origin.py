"""An origin server on real sockets that did not read our code: the standard library's.

What it answers is what the public echo services of the documentations answer: the request itself,
redirects, cookies, content codings, streams. It counts the connections that it accepts.
"""

from __future__ import annotations

import base64
import email.message
import email.policy
import gzip
import json
import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
import trustme

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
LINES = [json.dumps({"id": number}) for number in range(5)]


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    server: Origin
    timeout = 30.0
    routes: ClassVar[dict[str, Callable[[Handler], None]]] = {}

    def handle(self) -> None:
        """Serve a connection to its end, which a client may bring about as it likes."""
        try:
            super().handle()
        except (ConnectionError, ssl.SSLError):
            self.close_connection = True

    hints: ClassVar[dict[str, str]] = {}
    """Sent with every response."""

    def answer(
        self, content: bytes, media_type: str = "text/plain", status: int = 200, **fields: str
    ) -> None:
        """Send a response of known length; "_" stands for "-" in the names of fields."""
        self.send_response(status)
        for name, value in (fields | self.hints).items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def answer_json(self, value: object) -> None:
        """Send JSON."""
        self.answer(json.dumps(value).encode(), "application/json")

    def begin_chunks(self, media_type: str) -> None:
        """Send the head of a response of unknown length."""
        self.send_response(200)
        for name, value in self.hints.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Type", media_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def send_chunk(self, octets: bytes) -> None:
        """Send one chunk; b"" is the last."""
        self.wfile.write(b"%x\r\n%b\r\n" % (len(octets), octets))

    def content(self) -> bytes:
        """Read the content of the request."""
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def respond(self) -> None:
        """Answer one request."""
        self.server.requests.append(f"{self.command} {self.path}")
        route = self.routes.get(urlsplit(self.path).path.split("/")[1], echo)
        route(self)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = respond

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""

    @property
    def rest(self) -> list[str]:
        """The segments of the path after the first."""
        return urlsplit(self.path).path.split("/")[2:]


def echo(asked: Handler) -> None:
    """The request, as JSON."""
    content = asked.content()
    form, files = parts(asked.headers, content)
    asked.answer_json(
        {
            "method": asked.command,
            "path": asked.path,
            "args": parse_qs(urlsplit(asked.path).query, keep_blank_values=True),
            "headers": dict(asked.headers.items()),
            "data": "" if form or files else content.decode("latin-1"),
            "form": form,
            "files": files,
        }
    )


def parts(headers: email.message.Message, content: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    """The fields and files of a form."""
    media_type = headers.get_content_type() if "Content-Type" in headers else ""
    if media_type == "application/x-www-form-urlencoded":
        return dict(parse_qs(content.decode())), {}
    form: dict[str, Any] = {}
    files: dict[str, str] = {}
    if media_type == "multipart/form-data":
        head = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode()
        message = email.message_from_bytes(head + content, policy=email.policy.HTTP)
        for part in message.iter_parts():
            name = str(part.get_param("name", header="content-disposition"))
            into = files if part.get_filename() else form
            into[name] = str(part.get_content()) if part.get_content_maintype() == "text" else "octets"
    return form, files


def cookies(asked: Handler) -> None:
    """Set those of the query, then show them; or show those that came."""
    if asked.rest == ["set"]:
        asked.send_response(302)
        for name, values in parse_qs(urlsplit(asked.path).query).items():
            asked.send_header("Set-Cookie", f"{name}={values[0]}; Path=/")
        asked.send_header("Location", "/cookies")
        asked.send_header("Content-Length", "0")
        asked.end_headers()
        return
    pairs = [pair.strip() for pair in asked.headers.get("Cookie", "").split(";") if pair.strip()]
    asked.answer_json({"cookies": dict(sorted(pair.split("=", 1) for pair in pairs))})


def authenticated(asked: Handler) -> None:
    """Ask for a name and a password: those in the path."""
    expected = base64.b64encode(":".join(asked.rest).encode()).decode()
    if asked.headers.get("Authorization") != f"Basic {expected}":
        asked.answer(b"", status=401, WWW_Authenticate='Basic realm="here"')
        return
    asked.answer_json({"authenticated": True, "user": asked.rest[0]})


def stream(asked: Handler) -> None:
    """Lines of JSON, a chunk each."""
    asked.begin_chunks("application/json")
    for line in LINES:
        asked.send_chunk(line.encode() + b"\n")
    asked.send_chunk(b"")


def wait(asked: Handler) -> None:
    """Answer nothing until the origin is closed."""
    asked.server.closing.wait(30.0)
    asked.close_connection = True


def deflated(asked: Handler) -> None:
    asked.answer(zlib.compress(b"hello " * 100), Content_Encoding="deflate")


Handler.routes.update(
    {
        "cookies": cookies,
        "basic-auth": authenticated,
        "stream": stream,
        "wait": wait,
        "status": lambda asked: asked.answer(b"", status=int(asked.rest[0])),
        "redirect": lambda asked: asked.answer(b"over there", status=302, Location="/get"),
        "gzip": lambda asked: asked.answer(gzip.compress(b"hello " * 100, mtime=0), Content_Encoding="gzip"),
        "deflate": deflated,
        "image": lambda asked: asked.answer(PIXEL, "image/png"),
        "text": lambda asked: asked.answer("grüße".encode("latin-1"), "text/plain; charset=iso-8859-1"),
        "bytes": lambda asked: asked.answer(b"x" * int(asked.rest[0]), "application/octet-stream"),
    }
)


class Origin(ThreadingHTTPServer):
    """The server.

    Attributes:
        url: of its root, without the slash.
        accepted: how many connections it has accepted.
        requests: what was asked, such as "GET /get".
        closing: set once it is to end.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, handler: type[Handler] = Handler, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.accepted = 0
        self.requests: list[str] = []
        self.closing = threading.Event()
        self._tls = tls
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.server_port}"

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection."""
        connection, address = super().get_request()
        self.accepted += 1
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is not None:
            connection.settimeout(10.0)
            connection = self._tls.wrap_socket(connection, server_side=True)
        return connection, address

    def handle_error(self, request: Any, address: Any) -> None:
        """A client that ends its connection is no news."""


@contextmanager
def serving(handler: type[Handler] = Handler, tls: ssl.SSLContext | None = None) -> Iterator[Origin]:
    """Serve in a thread."""
    with Origin(handler, tls) as origin:
        thread = threading.Thread(target=origin.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield origin
        finally:
            origin.closing.set()
            origin.shutdown()
            thread.join()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Who issues certificates here."""
    return trustme.CA()


@pytest.fixture(scope="session")
def authority_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Its certificate, as PEM."""
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def origin() -> Iterator[Origin]:
    """Plain."""
    with serving() as found:
        yield found


@pytest.fixture
def tls_origin(authority: trustme.CA) -> Iterator[Origin]:
    """Over TLS, for 127.0.0.1, localhost and origin.test."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost", "origin.test").configure_cert(context)
    with serving(tls=context) as found:
        yield found
