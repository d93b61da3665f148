"""A response that the end of a TLS connection delimits is whole only after a closing alert."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
import trustme

from perdure.intermediary.gateway import Gateway
from perdure.wire.raw import RawListener, RawPeer
from perdure.wire.tls import server_context
from tests.intermediary.conftest import GET, Play, Stage

UNDELIMITED = b"HTTP/1.1 200 OK\r\n\r\npart"


def cut_off(peer: RawPeer) -> None:
    """End the TCP connection below TLS, so that no closing alert is sent."""
    descriptor = os.dup(peer.transport.get_extra_info("socket").fileno())
    with socket.socket(fileno=descriptor) as below:
        below.shutdown(socket.SHUT_WR)


@pytest.mark.row("R86", "R129")
@pytest.mark.parametrize("clean", [True, False])
def test_an_end_without_a_closing_alert_stays_a_truncation(
    play_on_sockets: Play, tmp_path: Path, clean: bool
) -> None:
    authority = trustme.CA()
    certificate, trusted = tmp_path / "certificate.pem", tmp_path / "authority.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    authority.cert_pem.write_to_path(trusted)

    async def scene(stage: Stage) -> None:
        origin = await RawListener.listen(stage.network, tls=server_context(str(certificate)))
        to = f"https://127.0.0.1:{origin.port}"
        async with Gateway(to, "127.0.0.1:0", origin_ca_file=str(trusted)) as gateway:
            port = int(gateway.urls[0].rpartition(":")[2])
            client = await RawPeer.dial(stage.network, "127.0.0.1", port)
            client.send(GET)
            peer = await origin.accept()
            await peer.receive_until(b"\r\n\r\n")
            peer.send(UNDELIMITED)
            head = await client.receive_until(b"\r\n\r\n")
            assert b"transfer-encoding: chunked" in head.lower()
            if clean:
                peer.close()
                assert await client.receive_until(b"0\r\n\r\n") == b"4\r\npart\r\n0\r\n\r\n"
            else:
                cut_off(peer)
                assert await client.receive_all() == b"4\r\npart\r\n"
            client.abort()
            peer.abort()
            await client.wait_lost()
            await peer.wait_lost()
        origin.close()

    play_on_sockets(scene)
