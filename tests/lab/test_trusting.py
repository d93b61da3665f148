"""The trusting client: one connection, used again until its end has been heard of."""

from __future__ import annotations

from perdure.lab.objects import objects_of
from perdure.lab.stage import Stage
from perdure.lab.trusting import TrustingClient
from tests.lab.playing import played

REQUEST = b"GET / HTTP/1.1\r\nHost: server\r\n\r\n"


def test_connection_is_used_again_and_another_dialled_once_its_end_is_heard_of() -> None:
    async def play(stage: Stage) -> None:
        async with stage.act("") as act:
            await act.serve("server", objects_of(3), idle_timeout=1.0, idle_buffer=0.0)
            client = TrustingClient(act, "client", "server")
            for gap in (0.1, 5.0, 0.0):
                head = await client.ask(REQUEST, 3)
                assert head is not None
                assert head.startswith(b"HTTP/1.1 200 OK")
                await act.rest(gap)
            assert (client.dials, client.lost) == (2, 0)

    played(play)


def test_request_on_a_connection_that_ends_is_lost_and_not_sent_again() -> None:
    async def play(stage: Stage) -> None:
        async with stage.act("") as act:
            listener = await act.listen("server")
            client = TrustingClient(act, "client", "server")
            asking = act.background(client.ask(REQUEST, 3))
            peer = await listener.accept()
            await peer.receive_until(b"\r\n\r\n")
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab")
            peer.close()
            assert await asking is None
            assert (client.dials, client.lost, bytes(peer.received)) == (1, 1, REQUEST)

    played(play)
