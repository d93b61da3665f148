"""A proxy that goes on with other rules, and keeps its clients."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import pytest

from perdure.intermediary.credentials import THREADS
from perdure.intermediary.gateway import Gateway
from perdure.intermediary.passwords import hash_password
from perdure.intermediary.proxy import Proxy
from tests.intermediary.conftest import OK, Play, ProxyStage, answer, status, until, value
from tests.intermediary.test_proxied import ALICE


def another(stage: ProxyStage, **settings: Any) -> Proxy:
    """A proxy that is not started: what the one of the stage shall become."""
    settings = {"allow": ["127.0.0.1"], "connect_ports": [stage.origin.port], **settings}
    return Proxy("127.0.0.1:0", network=stage.network, **settings)


@pytest.mark.row("S16")
def test_rules_change_between_two_requests_of_one_connection(play_proxy: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        client, inner, _ = await stage.asked(stage.get())
        inner.send(OK)
        await answer(client)
        assert stage.proxy.adopt(another(stage, allow=[]))
        client.send(stage.get())
        assert status((await answer(client))[0]) == 403  # though a connection lies idle
        users = [f"alice:{hash_password('wonderland', cost=4)}"]
        assert stage.proxy.adopt(another(stage, auth=users, forwarded="append"))
        client.send(stage.get())
        assert status((await answer(client))[0]) == 407
        client.send(stage.get(b"/", ALICE))
        inner = await stage.origin.accept()
        assert value(await inner.receive_until(b"\r\n\r\n"), b"x-forwarded-for") == b"127.0.0.1"
        inner.send(OK)
        assert status((await answer(client))[0]) == 200
        assert stage.proxy.adopt(another(stage, auth=users))  # whose verdicts are found anew
        client.send(stage.get(b"/", ALICE))
        inner = await stage.origin.accept()
        await inner.receive_until(b"\r\n\r\n")
        inner.send(OK)
        assert status((await answer(client))[0]) == 200
        assert stage.proxy.statistics().opened == 1

    play_proxy(scene)


def test_a_tunnel_goes_on_though_it_would_not_be_opened_again(play_proxy: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        client = await stage.client()
        connect = b"CONNECT %b HTTP/1.1\r\nHost: a\r\n\r\n" % stage.authority
        client.send(connect)
        inner = await stage.origin.accept()
        assert status(await client.receive_until(b"\r\n\r\n")) == 200
        assert stage.proxy.adopt(another(stage, connect_ports=["443"]))
        client.send(b"out")
        assert await inner.receive_exactly(3) == b"out"
        assert stage.proxy.statistics().tunnels == 1
        later = await stage.client()
        later.send(connect)
        assert status((await answer(later))[0]) == 403
        inner.close()
        client.close()
        await until(lambda: stage.proxy.statistics().tunnels == 0)
        assert stage.proxy.adopt(another(stage))
        last = await stage.client()
        last.send(connect)
        await stage.origin.accept()
        assert status(await last.receive_until(b"\r\n\r\n")) == 200
        assert stage.proxy.statistics().tunnels == 1

    play_proxy(scene)


def test_a_verdict_of_users_who_were_replaced_meanwhile_is_not_believed(play_proxy: Play) -> None:
    post = b"POST http://%b/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n%b\r\n\r\nhello"
    bob = [f"bob:{hash_password('builder', cost=4)}"]
    alice = [f"alice:{hash_password('wonderland', cost=4)}"]

    async def scene(stage: ProxyStage) -> None:
        for users, expected in (bob, 407), (alice, 200), ((), 200):
            assert stage.proxy.adopt(another(stage, auth=alice))
            credentials = stage.proxy._shared.credentials
            assert credentials is not None
            threads_go_on = threading.Event()
            for _ in range(THREADS):
                credentials._threads.submit(threads_go_on.wait)
            client = await stage.client()
            client.send(post % (stage.authority, ALICE))
            await until(partial(bool, credentials._checks))
            assert stage.proxy.adopt(another(stage, auth=users))
            threads_go_on.set()
            if expected == 200:
                inner = await stage.origin.accept()
                await inner.receive_until(b"\r\n\r\n")
                assert await inner.receive_exactly(5) == b"hello"
                inner.send(OK)
            assert status((await answer(client))[0]) == expected

    play_proxy(scene)


def test_what_is_under_way_ends_where_it_began(play_proxy: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        client, inner, _ = await stage.asked(stage.get())
        assert stage.proxy.adopt(another(stage, allow=[]))
        inner.send(OK)
        assert (await answer(client))[1] == b"ok"

    play_proxy(scene)


def test_it_becomes_nothing_else(play_proxy_virtually: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        assert not stage.proxy.adopt(Gateway("http://127.0.0.1:1", network=stage.network))
        assert not stage.proxy.adopt(another(stage, proxy_protocol=["127.0.0.1"]))
        client, inner, _ = await stage.asked(stage.get())
        inner.send(OK)
        assert (await answer(client))[1] == b"ok"

    play_proxy_virtually(scene)
