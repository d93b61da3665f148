"""What only an event loop has: tasks that share a client, cancellation, connections watched all the time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

import perdure
from perdure.core.reason import Reason
from perdure.wire.memory import Fault, MemoryNetwork
from perdure.wire.network import LoopNetwork, run
from perdure.wire.raw import RawListener, RawPeer
from perdure.wire.scripted import CLIENT_END, FIN, RST, Exactly, Pause, Script, Until
from perdure.wire.tls import server_context
from perdure.wire.virtual import run_virtual
from tests.client import conftest
from tests.client.conftest import BLANK, LoopStage, Perform, Stage, answer, says

HELLO = answer(b"hello")
MEBIBYTE = 1 << 20


def endless() -> Script:
    """A peer that answers for ever."""
    while True:
        yield Until(BLANK)
        yield HELLO


@pytest.mark.row("R108", "S9")
def test_tasks_share_few_connections_and_each_gets_its_own_response(perform_on_loop: Perform) -> None:
    def echo() -> Script:
        while True:
            head = yield Until(BLANK)
            yield answer(head.split(b" ")[1])

    async def scene(stage: Stage) -> None:
        paths = [f"/{number}" for number in range(100)]
        responses = await asyncio.gather(*[stage.ask(path=path) for path in paths])
        assert [response.text for response in responses] == paths
        assert stage.connections == 3
        statistics = stage.statistics()
        assert (statistics.requests, statistics.connections, statistics.leased) == (100, 3, 0)

    perform_on_loop(scene, echo, echo, echo, max_per_origin=3)


@pytest.mark.row("R110", "R109")
def test_an_idle_connection_that_the_peer_ends_is_closed_without_a_request(
    perform_on_loop: Perform,
) -> None:
    def peer() -> Script:
        yield Until(BLANK)
        yield HELLO
        yield Pause(1.0)
        yield FIN
        yield CLIENT_END

    async def scene(stage: Stage) -> None:
        await stage.ask()
        await stage.until(lambda: stage.ended(0))
        statistics = stage.statistics()
        assert (statistics.connections, statistics.idle) == (0, 0)
        assert sum(statistics.closes.values()) == 1
        assert (await stage.ask()).content == b"hello"

    perform_on_loop(scene, peer, says(HELLO))


def test_an_idle_connection_that_the_peer_resets_is_forgotten_without_a_request() -> None:
    def peer() -> Script:
        yield Until(BLANK)
        yield HELLO
        yield Pause(1.0)
        yield RST

    async def scene(stage: Stage) -> None:
        await stage.ask()
        await stage.pass_time(2.0)
        assert stage.statistics().connections == 0
        assert stage.statistics().closes == {Reason.PEER_RESET: 1}

    conftest.in_memory(scene, peer)


@pytest.mark.row("S7", "R109")
def test_idle_connections_are_closed_when_their_time_has_come(perform_on_loop: Perform) -> None:
    async def scene(stage: Stage) -> None:
        await stage.ask()
        await stage.until(lambda: stage.ended(0))
        assert stage.statistics().closes == {Reason.IDLE_LIMIT: 1}

    perform_on_loop(scene, endless, idle_timeout=0.2)


async def cancelled(stage: Stage, task: asyncio.Task[object], turns: int) -> bool:
    """Cancel a task after so many turns of the loop; whether it was not over by then."""
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    done = await asyncio.gather(task, return_exceptions=True)
    return isinstance(done[0], asyncio.CancelledError)


@pytest.mark.row("R183")
def test_cancelling_at_any_moment_leaves_no_lease_and_no_half_read_connection(
    perform_on_loop: Perform,
) -> None:
    async def source() -> AsyncIterator[bytes]:
        for _ in range(3):
            await asyncio.sleep(0)
            yield bytes(1000)

    def upload() -> Script:
        while True:
            yield Until(BLANK)
            yield Exactly(3000)
            yield HELLO

    async def scene(stage: Stage) -> None:
        were_cancelled = 0
        for turns in range(40):
            length = {"Content-Length": "3000"}
            asking = asyncio.ensure_future(stage.ask("PUT", content=source(), headers=length))
            were_cancelled += await cancelled(stage, asking, turns)
            assert stage.statistics().leased == 0
            assert stage.statistics().waiting == 0
        assert were_cancelled > 3
        response = await stage.ask("PUT", content=bytes(3000))
        assert response.content == b"hello"

    perform_on_loop(scene, *[upload] * 60, max_per_origin=1)


@pytest.mark.row("R183", "R101")
def test_cancelling_while_a_stream_is_read_ends_its_connection_at_once(perform_on_loop: Perform) -> None:
    def halfway() -> Script:
        yield Until(BLANK)
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"
        yield CLIENT_END

    async def scene(stage: Stage) -> None:
        began = asyncio.Event()

        async def read() -> None:
            async with stage.stream() as streamed:
                async for _ in streamed.pieces():
                    began.set()

        reading = asyncio.ensure_future(read())
        await began.wait()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        assert stage.statistics().connections == 0
        await stage.until(lambda: stage.ended(0))

    perform_on_loop(scene, halfway)


def test_a_reader_that_takes_nothing_holds_the_server_back(perform_on_loop: Perform) -> None:
    total = 64 * MEBIBYTE

    async def scene(stage: Stage) -> None:
        assert isinstance(stage, LoopStage)
        async with stage.stream() as streamed:
            pieces = streamed.pieces()
            received = len(await anext(pieces))
            peer = stage.peers[0]
            for _ in range(1000):
                await asyncio.sleep(0)
            assert peer.writing_paused
            assert peer.unsent_octets() > total // 2
            async for piece in pieces:
                received += len(piece)
                assert len(piece) <= MEBIBYTE
        assert received == total

    perform_on_loop(scene, says(answer(bytes(total))))


def test_closing_the_client_ends_what_is_under_way(perform_on_loop: Perform) -> None:
    def silent() -> Script:
        yield Until(BLANK)
        yield CLIENT_END

    async def scene(stage: Stage) -> None:
        assert isinstance(stage, LoopStage)
        asking = asyncio.ensure_future(stage.ask())
        await stage.until(lambda: stage.connections == 1 and BLANK in stage.heard(0))
        waiting = asyncio.ensure_future(stage.ask())
        await asyncio.sleep(0)
        await stage.client.aclose()
        for task in (asking, waiting):
            with pytest.raises(perdure.ExchangeError):
                await task
        with pytest.raises(perdure.ClientClosed):
            await stage.ask()
        assert stage.statistics().connections == 0

    perform_on_loop(scene, silent, max_per_origin=1)


def in_memory(*faults: Fault, connect_timeout: float = 10.0) -> perdure.ExchangeError:
    """The error of a request for which nobody listens, or over connections with faults."""

    async def main() -> perdure.ExchangeError:
        network = MemoryNetwork(latency=0.01)
        for number, fault in enumerate(faults):
            network.script(fault, number)
        async with perdure.AsyncClient(network=network, connect_timeout=connect_timeout) as client:
            with pytest.raises(perdure.ExchangeError) as caught:
                await client.get("http://origin.test/")
            assert client.statistics().dialling == 0
            return caught.value

    return run_virtual(main())


def test_a_refused_connection_says_so() -> None:
    error = in_memory()
    assert type(error) is perdure.ConnectError
    assert (error.reason, error.request_sent, error.uses) == (Reason.CONNECT_FAILED, "no", 0)


def test_a_connection_that_nobody_answers_takes_its_time_and_no_more() -> None:
    error = in_memory(Fault("client", 0, "unanswered"), connect_timeout=3.0)
    assert type(error) is perdure.ConnectTimeout
    assert error.reason is Reason.CONNECT_TIMEOUT


@pytest.mark.row("R108")
def test_a_request_does_not_wait_for_ever_for_a_connection() -> None:
    async def main() -> None:
        network = MemoryNetwork()
        async with perdure.AsyncClient(network=network, pool_timeout=2.0, max_per_origin=1) as client:
            listener = await network.listen(_Silent, "origin.test:80")
            first = asyncio.ensure_future(client.get("http://origin.test/"))
            await asyncio.sleep(0.1)  # virtual
            began = network.now()
            with pytest.raises(perdure.PoolTimeout) as caught:
                await client.get("http://origin.test/")
            assert caught.value.request_sent == "no"
            assert 2.0 <= network.now() - began < 2.3
            first.cancel()
            listener.close()

    run_virtual(main())


def test_a_limit_of_its_own_counts_while_connecting() -> None:
    async def main() -> None:
        network = MemoryNetwork()
        network.script(Fault("client", 0, "unanswered"), 0)
        async with perdure.AsyncClient(network=network) as client:
            with pytest.raises(perdure.ConnectTimeout):
                await client.get("http://origin.test/", timeout=1.0)
            assert network.now() < 1.3

    run_virtual(main())


class _Silent(RawPeer):
    def data_received(self, octets: bytes) -> None:
        """Say nothing."""


@pytest.mark.row("R128")
@pytest.mark.parametrize("prefer_uvloop", [False, True])
def test_https_verifies_the_server_and_shakes_hands_once(prefer_uvloop: bool, tmp_path: Path) -> None:
    authority = trustme.CA()
    own, roots = tmp_path / "own.pem", tmp_path / "roots.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(own))
    authority.cert_pem.write_to_path(str(roots))

    async def serve(listener: RawListener) -> None:
        peer = await listener.accept()
        for _ in range(2):
            await peer.receive_until(BLANK)
            peer.send(HELLO)

    async def main() -> None:
        network = LoopNetwork()
        listener = await RawListener.listen(network, tls=server_context(str(own)))
        serving = asyncio.create_task(serve(listener))
        url = f"https://127.0.0.1:{listener.port}/"
        async with perdure.AsyncClient(ca_file=str(roots)) as client:
            for reused in (False, True):
                assert (await client.get(url)).connection.reused is reused
        await serving
        assert len(listener.peers) == 1
        async with perdure.AsyncClient() as stranger:
            with pytest.raises(perdure.ConnectError, match="certificate"):
                await stranger.get(url)
        listener.close()
        for peer in listener.peers:
            peer.abort()
            await peer.wait_lost()

    run(asyncio.wait_for(main(), 20.0), prefer_uvloop=prefer_uvloop)


def test_waiting_for_a_connection_has_a_limit_of_its_own() -> None:
    """A part of a `Timeout` limits that part alone."""

    async def main() -> None:
        network = MemoryNetwork()
        network.script(Fault("client", 0, "unanswered"), 0)
        async with perdure.AsyncClient(network=network, max_per_origin=1) as client:
            first = asyncio.ensure_future(
                client.get("http://origin.test/", timeout=perdure.Timeout(connect=3.0))
            )
            await asyncio.sleep(0)
            began = network.now()
            with pytest.raises(perdure.PoolTimeout):
                await client.get("http://origin.test/", timeout={"pool": 1.0})
            assert 1.0 <= network.now() - began < 1.3
            with pytest.raises(perdure.ConnectTimeout):
                await first
            assert 3.0 <= network.now() - began < 3.3

    run_virtual(main())
