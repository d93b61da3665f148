"""TLS: contexts, and both wires over real handshakes. RFC 9110 §4.3.4, RFC 9112 §9.8."""

from __future__ import annotations

import concurrent.futures
import os
import queue
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme
import truststore
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from perdure.wire import tls
from perdure.wire.blocking import BlockingNetwork, BlockingWire, StreamWire
from perdure.wire.clock import now
from perdure.wire.errors import ConnectTimeout, ReadTimeout, TlsFailed, TlsSettings, WriteTimeout
from perdure.wire.idle import IdleWatch
from perdure.wire.network import Network
from perdure.wire.raw import RawListener, RawPeer
from tests.wire.conftest import Play

LIMIT_SECONDS = 5.0


class Files(NamedTuple):
    """PEM files of an authority and a certificate for 127.0.0.1 and origin.test."""

    authority: str
    certificate: str
    key: str


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1", "origin.test")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    leaf.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    leaf.private_key_pem.write_to_path(str(folder / "key.pem"))
    return Files(*(str(folder / name) for name in ("ca.pem", "cert.pem", "key.pem")))


@pytest.fixture
def server(files: Files) -> ssl.SSLContext:
    return tls.server_context(files.certificate, files.key)


@pytest.fixture
def client(files: Files) -> ssl.SSLContext:
    return tls.client_context(ca_file=files.authority)


@pytest.fixture
def joined(server: ssl.SSLContext, client: ssl.SSLContext) -> Iterator[tuple[BlockingWire, ssl.SSLSocket]]:
    """A blocking wire and the TLS socket at its other end."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        concurrent.futures.ThreadPoolExecutor(1) as pool,
    ):
        accepting = pool.submit(accept_tls, listener, server)
        wire = BlockingNetwork().dial(*listener.getsockname(), timeout=LIMIT_SECONDS, tls=client)
        peer = accepting.result(LIMIT_SECONDS)
    with peer:
        yield wire, peer
    wire.close()


def accept_tls(listener: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
    connected, _ = listener.accept()
    connected.settimeout(LIMIT_SECONDS)
    return context.wrap_socket(connected, server_side=True, suppress_ragged_eofs=False)


def soon() -> float:
    return now() + LIMIT_SECONDS


# Contexts


def test_a_client_trusts_the_system_unless_told_otherwise() -> None:
    context = tls.client_context()
    assert isinstance(context, truststore.SSLContext)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_verification_is_given_up_only_when_asked() -> None:
    context = tls.client_context(verify=False)
    assert context.verify_mode is ssl.CERT_NONE


@pytest.mark.parametrize(
    ("name", "what"), [("certificate", "certificate"), ("key", "key"), ("client_ca_file", "authorities")]
)
def test_a_missing_file_is_named(files: Files, name: str, what: str) -> None:
    settings = {"certificate": files.certificate, "key": files.key, name: "/nowhere/x.pem"}
    with pytest.raises(TlsSettings, match=f"^{what} file /nowhere/x.pem: no such file$"):
        tls.server_context(**settings)


def test_an_unusable_file_is_named(tmp_path: Path, files: Files) -> None:
    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_text("not PEM")
    with pytest.raises(TlsSettings, match=r"rubbish\.pem: a PEM certificate expected"):
        tls.server_context(str(rubbish), files.key)
    with pytest.raises(TlsSettings, match=r"rubbish\.pem: expected PEM certificates"):
        tls.client_context(ca_file=str(rubbish))


@pytest.mark.parametrize("kind", list(trustme.KeyType))
def test_the_key_of_another_certificate_is_refused(
    tmp_path: Path, files: Files, kind: trustme.KeyType
) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().issue_cert("origin.test", key_type=kind).private_key_pem.write_to_path(str(other))
    with pytest.raises(TlsSettings) as told:
        tls.server_context(files.certificate, str(other))
    expected = f"the private key of the certificate in {files.certificate} expected, got another one"
    assert str(told.value) == f"key file {other}: {expected}"


def encrypted(form: serialization.PrivateFormat) -> bytes:
    """A key with a password."""
    key = ec.generate_private_key(ec.SECP256R1())
    hidden = serialization.BestAvailableEncryption(b"secret")
    return key.private_bytes(serialization.Encoding.PEM, form, hidden)


PKCS8, TRADITIONAL = serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL
EMPTY_ARMOUR = b"-----BEGIN %b-----\nAAAA\n-----END %b-----\n"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"not PEM", "a PEM private key expected, found none"),
        (b"", "a PEM private key expected, found none"),
        (encrypted(PKCS8), "a private key without a password expected, got one that is encrypted"),
        (encrypted(TRADITIONAL), "a private key without a password expected, got one that is encrypted"),
        (EMPTY_ARMOUR % ((b"PRIVATE KEY",) * 2), "a PEM private key expected, found one that cannot be read"),
    ],
)
def test_what_is_wrong_with_a_key_is_told(tmp_path: Path, files: Files, content: bytes, fault: str) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes(content)
    with pytest.raises(TlsSettings) as told:
        tls.server_context(files.certificate, str(key))
    assert str(told.value).startswith(f"key file {key}: {fault}")
    assert told.value.file == "key"


@pytest.mark.parametrize("content", [b"", b"\x30\x82\x01", EMPTY_ARMOUR % ((b"CERTIFICATE",) * 2)])
def test_what_is_wrong_with_a_certificate_is_told(tmp_path: Path, files: Files, content: bytes) -> None:
    certificate = tmp_path / "certificate.pem"
    certificate.write_bytes(content)
    with pytest.raises(TlsSettings) as told:
        tls.server_context(str(certificate), files.key)
    expected = "a PEM certificate expected, found none that can be read"
    assert str(told.value) == f"certificate file {certificate}: {expected}"
    assert told.value.file == "certificate"


def test_a_certificate_without_its_key_says_that_no_key_was_named(files: Files) -> None:
    with pytest.raises(TlsSettings) as told:
        tls.server_context(files.certificate)
    expected = "a PEM private key expected, found none, and no key file was named"
    assert str(told.value) == f"certificate file {files.certificate}: {expected}"


def test_a_wrong_password_is_told(tmp_path: Path, files: Files) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes(encrypted(PKCS8))
    with pytest.raises(TlsSettings, match="cannot be decrypted with the password that was given"):
        tls.client_context(certificate=files.certificate, key=str(key), password="guess")


def test_a_folder_is_no_certificate(tmp_path: Path) -> None:
    with pytest.raises(TlsSettings, match=f"^certificate file {tmp_path}: is a directory$"):
        tls.server_context(str(tmp_path))


# The loop wire


def test_octets_go_both_ways_over_tls(play_on_sockets: Play, files: Files) -> None:
    async def scene(network: Network) -> None:
        listener = await RawListener.listen(network, tls=tls.server_context(files.certificate, files.key))
        context = tls.client_context(ca_file=files.authority)
        client = await RawPeer.dial(network, listener.host, listener.port, tls=context)
        server = await listener.accept()
        assert client.tls
        assert server.tls
        assert client.transport.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
        client.send(b"ping" * 100_000)
        assert await server.receive_exactly(400_000) == b"ping" * 100_000
        assert not client.half_close(), "TLS has no half-close here"
        server.send(b"pong")
        server.close()
        assert await client.receive_all() == b"pong"
        await client.wait_lost()
        await server.wait_lost()
        assert client.ended
        assert not client.truncated
        listener.close()

    play_on_sockets(scene)


def test_linger_over_tls_lets_the_peer_read_the_response(play_on_sockets: Play, files: Files) -> None:
    async def scene(network: Network) -> None:
        listener = await RawListener.listen(network, tls=tls.server_context(files.certificate, files.key))
        context = tls.client_context(ca_file=files.authority)
        client = await RawPeer.dial(network, listener.host, listener.port, tls=context)
        server = await listener.accept()
        client.send(b"u" * (1 << 20))
        await server.receive_exactly(1)
        server.send(b"413 too much")
        server.linger(8 << 20, 1.0, 5.0)
        assert await client.receive_exactly(12) == b"413 too much"
        client.close()
        await server.wait_lost()
        assert server.error is None
        listener.close()

    play_on_sockets(scene)


def test_an_end_without_close_notify_is_told_apart(play_on_sockets: Play, files: Files) -> None:
    async def scene(network: Network) -> None:
        listener = await RawListener.listen(network, tls=tls.server_context(files.certificate, files.key))
        context = tls.client_context(ca_file=files.authority)
        client = await RawPeer.dial(network, listener.host, listener.port, tls=context)
        server = await listener.accept()
        connection = server.transport.get_extra_info("socket")
        end_tcp(connection.fileno())
        await client.wait_lost()
        assert client.truncated
        server.abort()
        await server.wait_lost()
        listener.close()

    play_on_sockets(scene)


def end_tcp(descriptor: int) -> None:
    """Send FIN below TLS."""
    with socket.socket(fileno=os.dup(descriptor)) as copy:
        copy.shutdown(socket.SHUT_WR)


def test_a_certificate_of_an_unknown_authority_is_refused(play_on_sockets: Play, files: Files) -> None:
    async def scene(network: Network) -> None:
        listener = await RawListener.listen(network, tls=tls.server_context(files.certificate, files.key))
        context = tls.client_context()
        with pytest.raises(TlsFailed, match=r"^127\.0\.0\.1:\d+: certificate refused: "):
            await RawPeer.dial(network, listener.host, listener.port, tls=context)
        listener.close()

    play_on_sockets(scene)


def test_a_certificate_for_another_name_is_refused(play_on_sockets: Play, files: Files) -> None:
    async def scene(network: Network) -> None:
        listener = await RawListener.listen(network, tls=tls.server_context(files.certificate, files.key))
        context = tls.client_context(ca_file=files.authority)
        with pytest.raises(TlsFailed, match="certificate refused: Hostname mismatch"):
            await network.dial(
                RawPeer, listener.host, listener.port, timeout=5.0, tls=context, server_hostname="other.test"
            )
        listener.close()

    play_on_sockets(scene)


def test_a_peer_that_speaks_no_tls_is_told(play_on_sockets: Play, files: Files) -> None:
    async def scene(network: Network) -> None:
        listener = await RawListener.listen(network)
        context = tls.client_context(ca_file=files.authority)
        with pytest.raises(ConnectTimeout):
            await network.dial(RawPeer, listener.host, listener.port, timeout=0.1, tls=context)
        peer = await listener.accept()
        await peer.receive_all()
        peer.close()
        listener.close()

    play_on_sockets(scene)


# The blocking wire


def test_a_blocking_wire_speaks_tls(joined: tuple[BlockingWire, ssl.SSLSocket]) -> None:
    wire, peer = joined
    assert wire.tls
    wire.send(b"ping", soon())
    assert wire.octets_accepted == 4
    assert peer.recv(10) == b"ping"
    peer.sendall(b"pong")
    assert wire.receive(soon(), max_octets=1) == b"p"
    assert wire.readable(), "the rest waits inside TLS, where poll(2) does not see it"
    assert wire.receive(soon()) == b"ong"
    assert not wire.half_close()


def test_session_tickets_do_not_spend_an_idle_wire(joined: tuple[BlockingWire, ssl.SSLSocket]) -> None:
    wire, peer = joined
    # TLS 1.3 servers send tickets after the handshake, in records without octets.
    assert peer.version() == "TLSv1.3"
    assert wire._waiter.wait(1, soon()), "the tickets are there"
    assert not wire.readable()
    peer.sendall(b"late 408")
    wire._waiter.wait(1, soon())
    assert wire.readable()
    assert wire.receive(soon()) == b"late 408"


def test_closing_says_so_inside_tls(joined: tuple[BlockingWire, ssl.SSLSocket]) -> None:
    wire, peer = joined
    wire.close()
    # Without close_notify this would raise SSLEOFError.
    assert peer.recv(1) == b""


def test_a_detached_tls_copy_says_nothing(joined: tuple[BlockingWire, ssl.SSLSocket]) -> None:
    wire, peer = joined
    kept = os.dup(wire.fileno())
    wire.detach()
    peer.settimeout(0.05)
    with pytest.raises(TimeoutError):
        peer.recv(1)
    os.close(kept)


def test_the_end_of_a_blocking_tls_wire_may_be_truncated(joined: tuple[BlockingWire, ssl.SSLSocket]) -> None:
    wire, peer = joined
    end_tcp(peer.fileno())
    assert wire.receive(soon()) == b""
    assert wire.truncated


def test_the_end_of_a_blocking_tls_wire_may_be_in_good_order(
    joined: tuple[BlockingWire, ssl.SSLSocket],
) -> None:
    wire, peer = joined
    peer.settimeout(0)
    with pytest.raises(ssl.SSLWantReadError):
        peer.unwrap()
    assert wire.receive(soon()) == b""
    assert not wire.truncated


def test_a_refused_certificate_is_told_by_the_blocking_wire(server: ssl.SSLContext) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        concurrent.futures.ThreadPoolExecutor(1) as pool,
    ):
        accepting = pool.submit(accept_tls, listener, server)
        with pytest.raises(TlsFailed, match=r"^127\.0\.0\.1:\d+: certificate refused: "):
            BlockingNetwork().dial(*listener.getsockname(), timeout=LIMIT_SECONDS, tls=tls.client_context())
        assert isinstance(accepting.exception(LIMIT_SECONDS), OSError)


def test_a_handshake_ends_at_the_timeout(client: ssl.SSLContext) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(ConnectTimeout):
        BlockingNetwork().dial(*silent.getsockname(), timeout=0.1, tls=client)


def test_a_blocking_tls_wire_keeps_its_deadlines(joined: tuple[BlockingWire, ssl.SSLSocket]) -> None:
    wire, _ = joined
    with pytest.raises(ReadTimeout):
        wire.receive(now() + 0.02)
    with pytest.raises(WriteTimeout):
        wire.send(b"x" * (32 << 20), now() + 0.1)
    assert 0 < wire.octets_accepted < 32 << 20


def test_session_tickets_do_not_spend_a_watched_wire(joined: tuple[BlockingWire, ssl.SSLSocket]) -> None:
    wire, peer = joined
    watch = IdleWatch(tick_seconds=0.005)
    told: queue.Queue[StreamWire] = queue.Queue()
    watch.watch(wire, told.put)
    with pytest.raises(queue.Empty):
        told.get(timeout=0.05)
    peer.close()
    assert told.get(timeout=LIMIT_SECONDS) is wire
    watch.close()
