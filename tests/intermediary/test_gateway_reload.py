"""A gateway that goes on with other routes and settings, and keeps its connections."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import trustme

from perdure.intermediary.gateway import Gateway
from perdure.server.serve import ListeningServer
from perdure.server.settings import ServerSettings
from perdure.wire.errors import TlsSettings
from perdure.wire.memory import Fault, MemoryNetwork
from perdure.wire.raw import RawListener, RawPeer
from perdure.wire.tls import client_context
from tests.intermediary.conftest import GET, OK, Play, Stage, answer, play_on_asyncio, status, until, value


def url_of(origin: RawListener) -> str:
    return f"http://{origin.host}:{origin.port}"


def another(stage: Stage, to: Any = None, **settings: Any) -> Gateway:
    """A gateway that is not started: what the one of the stage shall become."""
    to = url_of(stage.origin) if to is None else to
    return Gateway(to, "127.0.0.1:0", network=stage.network, **settings)


async def exchange(client: RawPeer, inner: RawPeer, octets: bytes = GET) -> bytes:
    """One exchange over connections that are there; the response's head."""
    client.send(octets)
    await inner.receive_until(b"\r\n\r\n")
    inner.send(OK)
    head, _ = await answer(client)
    assert status(head) == 200
    return head


@pytest.mark.row("S16")
def test_settings_change_and_both_connections_go_on(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner = await stage.warmed()
        assert stage.gateway.adopt(another(stage, forwarded_fields="x-forwarded", max_body=5, fail_count=9))
        for _ in range(3):
            assert value(await exchange(client, inner), b"connection") != b"close"
        statistics = stage.gateway.statistics()
        assert (statistics.opened, statistics.origins.dialled) == (1, 1)
        later = await stage.client()
        later.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n")
        assert status((await answer(later))[0]) == 413

    play(scene)


def test_routes_change_between_two_requests_of_one_connection(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        other = await RawListener.listen(stage.network)
        client, inner = await stage.warmed()
        routes = [{"path": "/b", "to": [url_of(other)]}]
        assert stage.gateway.adopt(another(stage, routes=routes))
        client.send(GET.replace(b" / ", b" /b "))
        second = await other.accept()
        await second.receive_until(b"\r\n\r\n")
        second.send(OK)
        await answer(client)
        await exchange(client, inner)
        assert stage.gateway.adopt(another(stage, to=url_of(other)))
        await exchange(client, second)
        assert not inner.ended, "what nobody asks for any more ends as idle connections do"
        second.abort()
        await second.wait_lost()
        other.close()

    play(scene)


@pytest.mark.row("S16")
def test_client_that_is_trusted_no_more_is_believed_no_more_on_a_connection_of_before(play: Play) -> None:
    said = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.9\r\n\r\n"

    async def scene(stage: Stage) -> None:
        client, inner, head = await stage.asked(said)
        assert value(head, b"x-forwarded-for") == b"192.0.2.9, 127.0.0.1"
        inner.send(OK)
        await answer(client)
        for trusted, expected in (["10.0.0.0/8"], b"127.0.0.1"), (["127.0.0.1"], b"192.0.2.9, 127.0.0.1"):
            assert stage.gateway.adopt(another(stage, trusted=trusted))
            client.send(said)
            inner = await stage.origin.accept()
            assert value(await inner.receive_until(b"\r\n\r\n"), b"x-forwarded-for") == expected
            inner.send(OK)
            await answer(client)

    play(scene, trusted=["127.0.0.1"])


def test_exchange_under_way_ends_where_it_began(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked()
        assert stage.gateway.adopt(another(stage, to="http://192.0.2.1", origin_read_timeout=9.0))
        inner.send(OK)
        assert status((await answer(client))[0]) == 200

    play(scene)


def test_request_that_waits_for_a_connection_of_before_gets_it(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        first, inner, _ = await stage.asked()
        second = await stage.client()
        second.send(GET)
        await until(lambda: stage.gateway.statistics().origins.waiting == 1)
        assert stage.gateway.adopt(another(stage, origin_max_per_origin=2))
        inner.send(OK)
        await answer(first)
        await inner.receive_until(b"\r\n\r\n")
        inner.send(OK)
        assert status((await answer(second))[0]) == 200
        assert stage.gateway.statistics().origins.dialled == 1

    play(scene, origin_max_per_origin=1)


def test_request_whose_origin_is_gone_since_then_is_told_so(play_virtually: Play) -> None:
    async def scene(stage: Stage) -> None:
        assert isinstance(stage.network, MemoryNetwork)
        routes = [{"path": "/a", "to": ["http://192.0.2.1"]}]
        stage.gateway.adopt(another(stage, routes=routes, origin_connect_timeout=1.0))
        stage.network.script(Fault("server", 0, "unanswered"), 1)
        client = await stage.client()
        client.send(GET.replace(b" / ", b" /a "))
        await asyncio.sleep(0.5)
        stage.gateway.adopt(another(stage, routes=[{"path": "/b", "to": ["http://192.0.2.2"]}]))
        assert status((await answer(client))[0]) == 504

    play_virtually(scene)


def test_other_settings_of_connections_are_for_new_ones(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, _ = await stage.warmed()
        assert stage.gateway.adopt(another(stage, origin_idle_timeout=7.0))
        client.send(GET)
        fresh = await stage.origin.accept()
        await fresh.receive_until(b"\r\n\r\n")
        fresh.send(OK)
        await answer(client)
        assert stage.gateway.statistics().origins.dialled == 2, "both pools are counted"

    play(scene)


def test_connection_that_nobody_asks_for_any_more_ends_at_its_idle_limit(play_virtually: Play) -> None:
    async def scene(stage: Stage) -> None:
        _, inner = await stage.warmed()
        stage.gateway.adopt(another(stage, to="http://192.0.2.1"))
        ended = []
        for seconds in (14, 2):
            await asyncio.sleep(seconds)
            ended.append(inner.ended)
        assert ended == [False, True]
        stage.gateway.adopt(another(stage))
        assert stage.gateway._former == []

    play_virtually(scene)


def test_health_outlives_a_reload_and_checks_go_on(play_virtually: Play) -> None:
    async def scene(stage: Stage) -> None:
        one, two = "http://127.0.0.1:1", "http://127.0.0.1:2"
        checked = {"health_path": "/", "health_interval": 1.0}
        stage.gateway.adopt(another(stage, to=one, **checked))
        await asyncio.sleep(5)
        before = stage.gateway.statistics().servers[0]
        assert before.condition == "failed"
        stage.gateway.adopt(another(stage, to=[one, two], **checked))
        assert stage.gateway.statistics().servers[0] == before
        await asyncio.sleep(5)
        assert [server.checks_failed >= 4 for server in stage.gateway.statistics().servers] == [True, True]

    play_virtually(scene)


def test_settings_toward_clients_are_for_new_connections_and_idle_times_for_all(
    play_virtually: Play,
) -> None:
    async def scene(stage: Stage) -> None:
        client, inner = await stage.warmed()
        stage.gateway.adopt(another(stage, idle_timeout=5.0))
        await exchange(client, inner)
        await asyncio.sleep(7)
        assert client.ended
        later = await stage.client()
        later.send(GET)
        await inner.receive_until(b"\r\n\r\n")
        inner.send(OK)
        assert value((await answer(later))[0], b"keep-alive") == b"timeout=5, max=999"

    play_virtually(scene)


def test_what_begins_before_http_cannot_be_adopted(play: Play, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        certificate = certify(tmp_path, trustme.CA())
        for successor in (
            another(stage, proxy_protocol=["127.0.0.1"]),
            another(stage, tls_cert=certificate),
            ListeningServer(ServerSettings(), "127.0.0.1:0"),
        ):
            assert not stage.gateway.adopt(successor)
        client, inner = await stage.warmed()
        await exchange(client, inner)

    play(scene)


def certify(folder: Path, authority: trustme.CA, name: str = "127.0.0.1") -> str:
    """A file with a certificate and its key."""
    file = folder / "certificate.pem"
    authority.issue_cert(name).private_key_and_cert_chain_pem.write_to_path(str(file))
    return str(file)


@pytest.mark.parametrize("faulty", [False, True])
def test_new_connections_see_the_certificate_that_was_renewed(tmp_path: Path, faulty: bool) -> None:
    old, new = trustme.CA(), trustme.CA()
    certificate = Path(certify(tmp_path, old))

    def spoil() -> None:
        certificate.write_text("no PEM")

    async def scene(stage: Stage) -> None:
        async with another(stage, tls_cert=str(certificate)) as gateway:
            port = int(gateway.urls[0].rpartition(":")[2])
            await handshake(stage, port, old, tmp_path)
            certify(tmp_path, new)
            successor = another(stage, tls_cert=str(certificate))
            if not faulty:
                assert gateway.adopt(successor)
                await handshake(stage, port, new, tmp_path)
                return
            spoil()
            with pytest.raises(TlsSettings, match="a PEM certificate expected"):
                gateway.adopt(successor)
            await handshake(stage, port, old, tmp_path)

    play_on_asyncio(scene)


async def handshake(stage: Stage, port: int, authority: trustme.CA, folder: Path) -> None:
    """Connect in TLS, trusting one authority alone."""
    trusted = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(trusted))
    context = client_context(ca_file=str(trusted))
    peer = await RawPeer.dial(stage.network, "127.0.0.1", port, tls=context)
    peer.abort()
    await peer.wait_lost()
