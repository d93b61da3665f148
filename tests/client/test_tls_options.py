"""What a client may say of TLS, against a server of the standard library."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme

import perdure
from perdure.wire.errors import TlsSettings
from perdure.wire.tls import client_context
from tests.client.conftest import BLANK, answer

PATIENCE_SECONDS = 10.0


class Place(NamedTuple):
    """A server for the name "origin.test" that asks for certificates."""

    url: str
    roots: str
    own: str
    own_certificate: str
    own_key: str
    asked: list[tuple[str | None, bool, str | None]]
    """For each connection: the name asked for, whether a certificate was shown, and the version."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The server, and files for its clients."""
    folder, authority = tmp_path_factory.mktemp("tls"), trustme.CA()
    own = authority.issue_cert("client.test")
    paths = [str(folder / name) for name in ("roots.pem", "own.pem", "cert.pem", "key.pem")]
    for path, blob in zip(
        paths,
        (
            authority.cert_pem,
            own.private_key_and_cert_chain_pem,
            own.cert_chain_pems[0],
            own.private_key_pem,
        ),
        strict=True,
    ):
        blob.write_to_path(path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("origin.test").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    asked: list[tuple[str | None, bool, str | None]] = []
    names: list[str | None] = []
    context.sni_callback = lambda _, name, __: names.append(name)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening, context, names, asked))
        thread.start()
        url = f"https://127.0.0.1:{listening.getsockname()[1]}/"
        yield Place(url, paths[0], paths[1], paths[2], paths[3], asked)
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(PATIENCE_SECONDS)


def serve(
    listening: socket.socket, context: ssl.SSLContext, names: list[Any], asked: list[tuple[Any, bool, Any]]
) -> None:
    """Answer one request on each connection, and note what its handshake said."""
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        connection.settimeout(PATIENCE_SECONDS)
        try:
            with context.wrap_socket(connection, server_side=True) as tls:
                head = b""
                while BLANK not in head:
                    head += tls.recv(65536) or BLANK
                asked.append((names[-1], bool(tls.getpeercert()), tls.version()))
                tls.sendall(answer(b"hello"))
        except OSError:
            continue


def ask(place: Place, **options: Any) -> tuple[str | None, bool, str | None]:
    with perdure.Client(server_hostname="origin.test", **options) as client:
        assert client.get(place.url).content == b"hello"
    return place.asked[-1]


def context_for(place: Place) -> ssl.SSLContext:
    return client_context(ca_file=place.roots)


@pytest.mark.parametrize(
    "verify",
    [lambda place: place.roots, lambda place: Path(place.roots), context_for, lambda _: False],
    ids=["path", "Path", "context", "nobody"],
)
def test_whom_to_trust_may_be_said_in_every_way(place: Place, verify: Callable[[Place], Any]) -> None:
    assert ask(place, verify=verify(place))[:2] == ("origin.test", False)


def test_a_certificate_is_shown_in_every_form(place: Place) -> None:
    for cert in (place.own, Path(place.own), (place.own_certificate, place.own_key)):
        assert ask(place, verify=place.roots, cert=cert)[1] is True


def test_the_least_version_may_be_said(place: Place) -> None:
    assert ask(place, verify=place.roots, tls_minimum="1.3")[2] == "TLSv1.3"


def test_the_name_is_verified_and_may_be_said_for_one_request(place: Place) -> None:
    with perdure.Client(verify=place.roots) as client:
        with pytest.raises(perdure.ConnectError, match="certificate"):
            client.get(place.url)
        first = client.get(place.url, server_hostname="origin.test")
        assert (first.content, first.request.server_hostname) == (b"hello", "origin.test")


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"verify": "absent.pem"}, TlsSettings, "absent.pem"),
        ({"cert": "absent.pem"}, TlsSettings, "absent.pem"),
        ({"tls_minimum": "1.1"}, ValueError, "expected 1.2 or 1.3"),
        ({"verify": client_context(verify=False), "cert": "own.pem"}, ValueError, "load certificate"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_sent(
    place: Place, options: dict[str, Any], kind: type[Exception], words: str
) -> None:
    with perdure.Client(**options) as client, pytest.raises(kind, match=words):
        client.get(place.url)
