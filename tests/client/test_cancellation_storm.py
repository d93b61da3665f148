"""Requests given up at random points leave no slot, lease, ticket or dial behind. Real sockets."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

import perdure
from perdure.wire.network import LoopNetwork, run
from perdure.wire.raw import RawPeer
from tests.client.conftest import BLANK, answer

pytestmark = pytest.mark.slow

CAP = 10
WAVES = 50
WAVE = 200
GOOD = 1000
LONGEST_DELAY_SECONDS = 0.003
LONGEST_PATIENCE_SECONDS = 0.03
METHODS = ("GET", "POST", "PUT")
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Dawdler(RawPeer):
    """Answers each request a little later, in one piece or in several; sometimes it ends the connection."""

    chance = random.Random(1)

    def __init__(self) -> None:
        super().__init__()
        self.heads = b""

    def data_received(self, octets: bytes) -> None:
        self.heads += octets
        while BLANK in self.heads:
            head, _, self.heads = self.heads.partition(BLANK)
            delay = self.chance.uniform(0.0, LONGEST_DELAY_SECONDS)
            if b"/good" in head:
                self.loop.call_later(delay, self.say, answer(b"good"))
            elif self.chance.random() < 0.02:
                self.loop.call_later(delay, self.close)
            elif self.chance.random() < 0.3:
                self.say(CHUNKED)
                self.loop.call_later(delay, self.say_chunk, delay)
            else:
                self.loop.call_later(delay, self.say, answer(b"hello"))

    def say_chunk(self, delay: float) -> None:
        self.say(b"5\r\nhello\r\n")
        self.loop.call_later(delay, self.say, b"0\r\n\r\n")

    def say(self, octets: bytes) -> None:
        if not self.lost:
            self.send(octets)


async def ask(client: perdure.AsyncClient, url: str, chance: random.Random) -> None:
    if chance.random() < 0.3:
        async with client.stream(chance.choice(METHODS), url) as response:
            async for _ in response.aiter_bytes():
                if chance.random() < 0.3:
                    break
        return
    await client.request(chance.choice(METHODS), url)


async def storm(client: perdure.AsyncClient, url: str, chance: random.Random) -> int:
    """Begin WAVES of requests and cancel each at a random point; how many were cancelled."""
    loop = asyncio.get_running_loop()
    cancelled = 0
    for _ in range(WAVES):
        tasks = [loop.create_task(ask(client, url, chance)) for _ in range(WAVE)]
        for task in tasks:
            loop.call_later(chance.uniform(0.0, LONGEST_PATIENCE_SECONDS), task.cancel)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for outcome in outcomes:
            assert outcome is None or isinstance(outcome, asyncio.CancelledError | perdure.ReadError), outcome
        cancelled += sum(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
    return cancelled


@pytest.mark.parametrize("prefer_uvloop", [False, True], ids=["asyncio", "uvloop"])
def test_after_ten_thousand_cancelled_requests_a_thousand_good_ones_succeed(
    prefer_uvloop: bool, caplog: pytest.LogCaptureFixture
) -> None:
    complaints: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        peers: list[Dawdler] = []

        def make() -> Dawdler:
            peers.append(Dawdler())
            return peers[-1]

        listener = await LoopNetwork().listen(make, "127.0.0.1:0")
        url = listener.urls("http")[0]
        async with perdure.AsyncClient(max_per_origin=CAP, max_total=CAP) as client:
            cancelled = await storm(client, f"{url}/", random.Random(2))
            assert cancelled > WAVES * WAVE / 10
            good = await asyncio.gather(*[client.get(f"{url}/good") for _ in range(GOOD)])
            assert {response.content for response in good} == {b"good"}
            seen = client.statistics()
            assert (seen.leased, seen.waiting, seen.dialling) == (0, 0, 0)
            assert seen.connections == seen.idle <= CAP
            assert sum(seen.closes.values()) + seen.connections == seen.dialled
            assert not client._pool.leases
        assert client.statistics().connections == 0
        listener.close()
        for peer in peers:
            peer.abort()
            await peer.wait_lost()
        await listener.wait_closed()

    with caplog.at_level(logging.WARNING):
        run(asyncio.wait_for(main(), 300.0), prefer_uvloop)
    assert not complaints
    assert not caplog.records


# --- threads, which are not cancelled, but run out of time and are closed under the feet of ---


@pytest.fixture
def dawdling() -> Iterator[str]:
    """The URL of a server that dawdles, on an event loop of its own thread."""
    started = threading.Event()
    urls: list[str] = []
    stop: list[Callable[[], object]] = []

    async def main() -> None:
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        peers: list[Dawdler] = []

        def make() -> Dawdler:
            peers.append(Dawdler())
            return peers[-1]

        listener = await LoopNetwork().listen(make, "127.0.0.1:0")
        urls.extend(listener.urls("http"))
        stop.append(partial(loop.call_soon_threadsafe, ended.set))
        started.set()
        await ended.wait()
        listener.close()
        for peer in peers:
            peer.abort()
            await peer.wait_lost()

    thread = threading.Thread(target=run, args=(main(),))
    thread.start()
    assert started.wait(10.0)
    yield urls[0]
    stop[0]()
    thread.join(10.0)
    assert not thread.is_alive()


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Do work in threads; what they raise is raised here."""
    errors: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120.0)
        assert not thread.is_alive(), "a thread hangs"
    assert not errors


def test_after_thousands_of_requests_that_ran_out_of_time_good_ones_succeed(dawdling: str) -> None:
    with perdure.Client(max_per_origin=CAP, max_total=CAP) as client:

        def hurry(number: int) -> None:
            chance = random.Random(number)
            for _ in range(150):
                try:
                    patience = chance.uniform(0.0001, 2 * LONGEST_DELAY_SECONDS)
                    client.request(chance.choice(METHODS), f"{dawdling}/", timeout=patience)
                except (perdure.TimeoutExpired, perdure.ReadError):
                    continue

        def ask(number: int) -> None:
            for _ in range(40):
                assert client.get(f"{dawdling}/good").content == b"good"

        in_threads(24, hurry)
        assert client.statistics().leased == 0
        in_threads(24, ask)
        seen = client.statistics()
        assert (seen.leased, seen.waiting, seen.dialling) == (0, 0, 0)
        assert sum(seen.closes.values()) + seen.connections == seen.dialled
    assert client.statistics().connections == 0


def test_closing_a_client_that_many_threads_use_ends_all_their_requests(dawdling: str) -> None:
    for round_number in range(20):
        client = perdure.Client(max_per_origin=3)

        def close_after(turns: int, client: perdure.Client = client) -> None:
            for _ in range(turns):
                client.statistics()
            client.close()

        def ask(client: perdure.Client = client) -> None:
            try:
                while True:
                    client.get(f"{dawdling}/good")
            except perdure.ClientClosed:
                return

        work: list[Callable[[], None]] = [partial(close_after, round_number), *[ask] * 12]
        in_threads(13, lambda number, work=work: work[number]())  # type: ignore[misc]
        seen = client.statistics()
        assert (seen.connections, seen.waiting, seen.dialling) == (0, 0, 0)
