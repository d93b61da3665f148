"""The blind relay does what the old ones did, and no more."""

from __future__ import annotations

import asyncio

import pytest

from perdure.lab.link import Link
from perdure.lab.relay import RelayedClient
from perdure.lab.stage import Act, Stage
from perdure.wire.raw import RawPeer
from tests.lab.playing import played

HOSTS = ("client", "relay", "server")
LINKS = (Link(a="client", b="relay", rtt=0.02), Link(a="relay", b="server", rtt=0.02))
REQUEST = b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"
POST = b"POST / HTTP/1.0\r\nContent-Length: 6\r\n\r\nab"
RESPONSE = b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok"


async def relayed(act: Act) -> tuple[RawPeer, RawPeer, RelayedClient]:
    listener = await act.listen("server")
    relay = await act.relay("relay", "server")
    client = await act.dial("client", "relay")
    server = await listener.accept()
    return client, server, relay.connections[0]


@pytest.mark.row("S10")
def test_octets_cross_untouched_and_the_second_request_is_never_looked_at() -> None:
    async def play(stage: Stage) -> None:
        async with stage.act("") as act:
            client, server, relayed_client = await relayed(act)
            client.send(REQUEST)
            assert await server.receive_exactly(len(REQUEST)) == REQUEST
            server.send(RESPONSE)
            assert await client.receive_exactly(len(RESPONSE)) == RESPONSE
            client.send(REQUEST)
            await act.rest(10.0)
            assert len(server.received) == len(REQUEST)
            assert (relayed_client.request_octets, relayed_client.ignored_octets) == (len(REQUEST),) * 2
            server.close()
            assert await client.at_eof()

    played(play, hosts=HOSTS, links=LINKS)


@pytest.mark.row("S10")
def test_client_that_leaves_is_not_noticed_before_the_server_closes() -> None:
    async def play(stage: Stage) -> None:
        async with stage.act("") as act:
            client, server, relayed_client = await relayed(act)
            client.send(REQUEST)
            await server.receive_exactly(len(REQUEST))
            client.close()
            await act.rest(10.0)
            assert not server.ended
            assert relayed_client.client_ended_at < relayed_client.server_ended_at
            server.close()
            await server.wait_lost()

    played(play, hosts=HOSTS, links=LINKS)


def test_content_of_the_first_request_crosses_and_what_follows_it_does_not() -> None:
    async def play(stage: Stage) -> None:
        async with stage.act("") as act:
            client, server, relayed_client = await relayed(act)
            client.send(POST)
            client.send(b"cdef" + REQUEST)
            await act.rest(1.0)
            assert bytes(server.received) == POST + b"cdef"
            assert relayed_client.ignored_octets == len(REQUEST)

    played(play, hosts=HOSTS, links=LINKS)


def test_octets_that_are_no_request_cross_too() -> None:
    async def play(stage: Stage) -> None:
        async with stage.act("") as act:
            client, server, _ = await relayed(act)
            client.send(b"\x16\x03\x01 what is this\r\n\r\n")
            await act.rest(1.0)
            assert bytes(server.received) == b"\x16\x03\x01 what is this\r\n\r\n"

    played(play, hosts=HOSTS, links=LINKS)


def test_client_of_a_relay_whose_server_is_not_there_is_left() -> None:
    async def play(stage: Stage) -> None:
        async with stage.act("") as act:
            await act.relay("relay", "server")
            client = await act.dial("client", "relay")
            client.send(REQUEST)
            async with asyncio.timeout(5.0):
                await client.receive_all()

    played(play, hosts=HOSTS, links=LINKS)
