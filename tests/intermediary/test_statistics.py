"""What a gateway counts: each origin of each route, and all pools together."""

from __future__ import annotations

from perdure.core import Reason
from perdure.core.pool import Statistics
from perdure.intermediary.gateway import Gateway
from perdure.intermediary.statistics import together
from tests.intermediary.conftest import GET, OK, Play, Stage, answer


def pool(**counts: int) -> Statistics:
    names = ("connections", "idle", "leased", "dialling", "waiting", "requests", "reused", "dialled")
    return Statistics(
        **{name: counts.get(name, 0) for name in names},
        closes={Reason.IDLE_LIMIT: counts.get("closed", 0)},
        learned={counts.get("port", 0): 1.0},
        proven={},
    )


def test_pools_are_added_up() -> None:
    both = together([pool(idle=1, requests=5, closed=2, port=1), pool(idle=2, requests=6, closed=3, port=2)])
    assert (both.idle, both.requests, both.closes[Reason.IDLE_LIMIT]) == (3, 11, 5)
    assert both.learned == {1: 1.0, 2: 1.0}
    assert together([]).requests == 0


def test_each_origin_of_each_route_is_counted(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        url = f"http://{stage.origin.host}:{stage.origin.port}"
        routes = [{"path": "/a", "to": [url]}, {"host": "b", "to": ["http://192.0.2.1"]}]
        async with Gateway(url, "127.0.0.1:0", routes=routes, network=stage.network) as gateway:
            inside = Stage(stage.network, stage.origin, gateway)
            client, inner = await inside.warmed()
            for _ in range(3):
                client.send(GET)
                await inner.receive_until(b"\r\n\r\n")
                inner.send(OK)
                await answer(client)
            client.send(GET)
            await inner.receive_until(b"\r\n\r\n")
            b, a, rest = gateway.statistics().servers
            assert (b.route, a.route, rest.route) == ("b/", "*/a", "*/") or (a.route, b.route) == (
                "b/",
                "*/a",
            )
            assert (rest.url, rest.condition, rest.share) == (url, "in", 1.0)
            assert (rest.outstanding, rest.connections, rest.idle) == (1, 1, 0)
            assert (rest.requests, rest.dialled, rest.reuse_ratio) == (5, 1, 0.8)
            inner.send(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            await answer(client)
            rest = gateway.statistics().servers[-1]
            assert (rest.connections, rest.requests, rest.dialled) == (0, 5, 1), "what has ended counts on"
            client.abort()
            await client.wait_lost()

    play(scene)
