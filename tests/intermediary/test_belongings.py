"""Connections to origins that belong to one client: modes of reuse, PROXY headers, NTLM."""

from __future__ import annotations

import asyncio

import pytest

from perdure.core import Reason
from perdure.core.proxy_protocol import parse
from perdure.intermediary.belongings import asks_for_connection
from perdure.wire.raw import RawPeer
from tests.intermediary.conftest import GET, OK, POST, Play, Stage, answer, status, until
from tests.intermediary.heads import lines_of

CHALLENGE = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n"


async def exchange(stage: Stage, client: RawPeer, inner: RawPeer, octets: bytes = GET) -> None:
    """One exchange over connections that there are."""
    client.send(octets)
    await inner.receive_until(b"\r\n\r\n")
    if octets == POST:
        await inner.receive_exactly(5)
    inner.send(OK)
    assert status((await answer(client))[0]) == 200


def closes(stage: Stage) -> dict[Reason, int]:
    return dict(stage.gateway.statistics().origins.closes)


def test_each_client_keeps_its_own_connection_where_nothing_is_shared(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        one, first = await stage.warmed()
        two, second = await stage.warmed()
        await exchange(stage, one, first)
        await exchange(stage, two, second)
        one.close()
        await first.receive_all()  # what was its own goes with it
        assert closes(stage) == {Reason.OWNER_GONE: 1}
        await exchange(stage, two, second)
        await stage.warmed()
        assert len(stage.origin.peers) == 3

    play(scene, origin_reuse="never")


@pytest.mark.row("R149")
@pytest.mark.parametrize(("reuse", "connections"), [("safe", 2), ("aggressive", 2), ("always", 1)])
def test_first_post_of_a_client_takes_what_the_mode_trusts(play: Play, reuse: str, connections: int) -> None:
    """Nothing is proven yet, so only who trusts everything takes the connection of another client."""

    async def scene(stage: Stage) -> None:
        _, first = await stage.warmed()
        client = await stage.client()
        client.send(POST)
        inner = first if reuse == "always" else await stage.origin.accept()
        await inner.receive_until(b"hello")
        inner.send(OK)
        assert status((await answer(client))[0]) == 200
        assert len(stage.origin.peers) == connections

    play(scene, origin_reuse=reuse)


def test_later_post_takes_a_proven_connection_in_safe_mode_a_first_one_never(
    play_virtually: Play,
) -> None:
    async def scene(stage: Stage) -> None:
        _, canary = await stage.warmed()
        client = await stage.client()
        client.send(POST)
        young = await stage.origin.accept()
        await young.receive_until(b"hello")
        young.send(OK)
        await answer(client)
        await asyncio.sleep(3.0)
        await exchange(stage, client, young)  # the older one is the canary: 3 s are proven
        await exchange(stage, client, young, POST)
        other = await stage.client()
        other.send(POST)
        fresh = await stage.origin.accept()
        assert fresh not in (canary, young)

    play_virtually(scene, origin_reuse="safe")


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_header_says_who_the_client_is_and_the_connection_serves_it_alone(play: Play, version: str) -> None:
    async def scene(stage: Stage) -> None:
        addresses = []
        clients = []
        for _ in range(2):
            client = await stage.client()
            client.send(GET)
            inner = await stage.origin.accept()
            received = await inner.receive_until(b"Host:")
            header = parse(received)
            assert header is not None
            assert received[header.octets :].startswith(b"GET / HTTP/1.1\r\n")
            assert header.source == client.own_address
            assert header.destination == client.peer_address
            await inner.receive_until(b"\r\n\r\n")
            inner.send(OK)
            await answer(client)
            addresses.append(header.source)
            clients.append((client, inner))
        assert addresses[0] != addresses[1]
        (server,) = stage.gateway.statistics().servers
        assert (server.connections, server.idle, server.requests) == (2, 2, 2)
        for client, inner in clients:  # no second header
            client.send(GET)
            assert (await inner.receive_until(b"\r\n\r\n")).startswith(b"GET / ")
            inner.send(OK)
            await answer(client)
        clients[0][0].close()
        await clients[0][1].receive_all()
        assert closes(stage) == {Reason.OWNER_GONE: 1}

    play(scene, origin_proxy_protocol=version)


@pytest.mark.row("R108")
def test_many_clients_with_headers_stay_below_the_cap_and_leave_nothing_behind(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        for _ in range(12):
            client, _ = await stage.warmed()
            statistics = stage.gateway.statistics().origins
            assert statistics.connections <= 4
        assert closes(stage) == {Reason.PRESSURE: 8}  # the idlest of anybody made room
        for client in stage.clients:
            client.close()
        await until(lambda: stage.gateway.statistics().origins.connections == 0)

    play(scene, origin_proxy_protocol="v1", origin_max_per_origin=4)


@pytest.mark.parametrize(
    ("value", "asks"),
    [
        (b"NTLM", True),
        (b"Negotiate", True),
        (b"negotiate TlRMTVNTUAAC", True),
        (b'Basic realm="a", NTLM', True),
        (b"NTLM,Negotiate", True),
        (b"Basic realm=ntlmish", False),
        (b'Digest realm="NTLM"', False),
        (b"NTLMv9", False),
    ],
)
def test_challenge_of_a_connection_is_known_by_its_scheme(value: bytes, asks: bool) -> None:
    assert asks_for_connection(lines_of(b"WWW-Authenticate: " + value + b"\r\n")) is asks


def test_connection_that_is_authenticated_is_its_clients_alone(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked()
        inner.send(CHALLENGE)
        assert status((await answer(client))[0]) == 401
        other, _ = await stage.warmed()  # a connection of its own, though one lies idle
        assert len(stage.origin.peers) == 2
        await exchange(stage, client, inner, POST)  # the next leg, on the same, though nothing is proven
        await exchange(stage, client, inner)
        client.close()
        await inner.receive_all()
        assert closes(stage) == {Reason.OWNER_GONE: 1}
        other.close()

    play(scene)


def test_client_whose_authenticated_connection_has_gone_begins_anew(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked()
        inner.send(CHALLENGE)
        await answer(client)
        inner.close()
        await until(lambda: stage.gateway.statistics().origins.connections == 0)
        client.send(GET)
        again = await stage.origin.accept()
        await again.receive_until(b"\r\n\r\n")
        again.send(CHALLENGE)
        assert status((await answer(client))[0]) == 401
        await exchange(stage, client, again)

    play(scene)


def test_challenge_of_requests_shares_as_before(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked()
        inner.send(CHALLENGE.replace(b"NTLM", b'Basic realm="a"'))
        await answer(client)
        other = await stage.client()
        await exchange(stage, other, inner)

    play(scene)


TICKET = b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nAuthorization: %b\r\n\r\n"


@pytest.mark.parametrize("before", [GET, TICKET % b"Basic YTpi"], ids=["plain", "alike"])
def test_connection_that_a_client_authenticates_unasked_is_its_alone(play: Play, before: bytes) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked(before)
        inner.send(OK)
        await answer(client)
        await exchange(stage, client, inner, before.replace(b"YTpi", b"YTpj"))
        for _ in range(3):
            await exchange(stage, client, inner, TICKET % b"Negotiate YIIG")
        other, _ = await stage.warmed()
        assert len(stage.origin.peers) == 2  # the other one was not let in to speak in the first one's name
        await exchange(stage, client, inner)
        client.close()
        await inner.receive_all()
        assert closes(stage) == {Reason.OWNER_GONE: 1}
        other.close()

    play(scene)


def test_ticket_that_comes_when_the_challenged_connection_has_gone_claims_the_next(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked()
        inner.send(CHALLENGE.replace(b"NTLM", b"Negotiate"))
        await answer(client)
        inner.close()
        await until(lambda: stage.gateway.statistics().origins.connections == 0)
        client.send(TICKET % b"Negotiate YIIG")
        again = await stage.origin.accept()
        await again.receive_until(b"\r\n\r\n")
        again.send(OK)
        await answer(client)
        await stage.warmed()
        assert len(stage.origin.peers) == 3

    play(scene)
