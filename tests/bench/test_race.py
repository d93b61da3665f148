"""perdure loses no request to an idle limit, and repeats none that may not be: a short run of bench.race."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from bench.clients.subjects import OURS, Subject
from bench.race import page, relay
from bench.race.origin import Inbound, Origin
from bench.race.run import Result, faults, race_all
from bench.race.variant import LIMIT_SECONDS, VARIANTS, Variant
from perdure.wire.virtual import run_virtual

REQUESTS = 160
"""Of each method in each race; the page was written from 5,000."""
DELAY = 0.03


@pytest.fixture(scope="module")
def results() -> list[Result]:
    return race_all(OURS, VARIANTS, REQUESTS)


@pytest.mark.slow
@pytest.mark.row("S4", "S7", "R111", "R148")
@pytest.mark.parametrize("subject", OURS, ids=lambda subject: str(subject.name))
@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: str(variant.name))
def test_perdure_loses_no_request_to_an_idle_limit(
    variant: Variant, subject: Subject, results: list[Result]
) -> None:
    mine = [one for one in results if (one.variant, one.subject) == (variant.name, subject.name)]
    assert [one.asked for one in mine] == [REQUESTS, REQUESTS]
    assert not [fault for one in mine for fault in faults(one)]


GOOD = Result("fin", "perdure", "POST", 160, {}, 0, 160, 0, 0, 0, 160)


@pytest.mark.parametrize(
    ("result", "count"),
    [
        (GOOD, 0),
        (replace(GOOD, failed={"NoResponse": 1}, worst=1), 1),
        (replace(GOOD, failed={"NoResponse": 1}, worst=1, stood_still=0.2), 0),
        (replace(GOOD, failed={"NoResponse": 2}, worst=2, stood_still=0.2), 1),
        (replace(GOOD, variant="408", failed={"status 408": 1}, worst=1, stood_still=0.2), 0),
        (replace(GOOD, failed={"status 408": 1}, worst=1, stood_still=0.2), 1),
        (replace(GOOD, method="GET", failed={"NoResponse": 1}, worst=1, stood_still=0.2), 1),
        (replace(GOOD, variant="change", failed={"NoResponse": 3}, worst=1, delivered=157), 0),
        (replace(GOOD, variant="change", failed={"NoResponse": 3}, worst=2, delivered=157), 1),
        (replace(GOOD, variant="change", failed={"ReadError": 1}, worst=1, delivered=159), 1),
        (replace(GOOD, variant="change", method="GET", failed={"NoResponse": 1}, worst=1), 1),
        (replace(GOOD, twice=1), 1),
        (replace(GOOD, repeated=1), 1),
        (replace(GOOD, method="GET", repeated=20), 0),
        (replace(GOOD, delivered=159), 1),
    ],
)
def test_what_counts_as_a_fault(result: Result, count: int) -> None:
    assert len(faults(result)) == count


def test_the_page_tells_of_every_race() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    assert [variant.name for variant in VARIANTS if f"## The server {variant.sentence}\n" not in text] == []
    rows = [line for line in text.splitlines() if line.startswith("| perdure")]
    assert len(rows) == len(VARIANTS) * len(OURS) * 2


def test_a_row_of_the_page() -> None:
    lost = replace(GOOD, failed={"A": 1, "B": 2}, reusing=40)
    assert page.row(lost) == ["perdure", "POST", "3: B 2, A 1", "0", "0", "25%", "160"]
    assert page.row(GOOD)[2] == "0"


# The relay


def test_what_enters_a_passage_comes_out_later_in_order() -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        came: list[tuple[float, object]] = []
        passage = relay.Passage(loop, DELAY, lambda what: came.append((round(loop.time(), 3), what)))
        start = round(loop.time(), 3)
        passage.enter(b"one")
        passage.enter(b"two")
        await asyncio.sleep(0.02)
        passage.enter(None)
        await asyncio.sleep(1.0)
        assert [what for _, what in came] == [b"one", b"two", None]
        assert [when - start for when, _ in came] == pytest.approx([0.03, 0.03, 0.05], abs=0.002)

    run_virtual(scene())


class Peer(asyncio.Protocol):
    """A server that answers the first octets with the end of the connection, said by `end`."""

    def __init__(self, end: Callable[[asyncio.Transport], None]) -> None:
        self.end = end

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.end(self.transport)


def finish(transport: asyncio.Transport) -> None:
    transport.write(b"bye")
    transport.close()


@pytest.mark.parametrize(("end", "heard"), [(finish, b"bye"), (relay.reset, None)])
def test_the_relay_passes_octets_and_the_kind_of_end(
    end: Callable[[asyncio.Transport], None], heard: bytes | None
) -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        seen = relay.Seen()
        server = await loop.create_server(lambda: Peer(end), "127.0.0.1", 0)
        relaying, port = await relay.listen(server.sockets[0].getsockname()[1], 0.0, seen)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /3-14 HTTP/1.1\r\n\r\n")
        if heard is None:
            with pytest.raises(ConnectionResetError):
                await reader.read()
        else:
            assert await reader.read() == heard
        writer.close()
        assert (seen.dials, seen.sent) == (1, {b"GET /3-14": 1})
        for one in (relaying, server):
            one.close()
            await one.wait_closed()
        await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(scene(), 30.0))


# The server


class Written(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.octets = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.octets += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


def connected(origin: Origin) -> tuple[Inbound, Written]:
    inbound, transport = Inbound(origin), Written()
    inbound.connection_made(transport)
    return inbound, transport


def named(name: str) -> Variant:
    return next(one for one in VARIANTS if one.name == name)


def test_the_server_counts_whole_requests_and_answers_with_their_identity() -> None:
    async def scene() -> None:
        origin = Origin(named("hint"), 100)
        inbound, transport = connected(origin)
        inbound.data_received(b"POST /1-2 HTTP/1.1\r\nContent-Length: 4\r\n\r\n/1-")
        assert not origin.delivered
        inbound.data_received(b"2")
        inbound.data_received(b"GET /1-3 HTTP/1.1\r\n\r\n")
        assert origin.delivered == {b"POST /1-2": 1, b"GET /1-3": 1}
        assert origin.reusing == {"GET": 1}
        assert transport.octets.endswith(b"Content-Length: 8\r\n\r\nGET /1-3")
        assert transport.octets.count(b"\r\nConnection: keep-alive\r\nKeep-Alive: timeout=1\r\n") == 2

    run_virtual(scene())


@pytest.mark.parametrize(("name", "said"), [("fin", b""), ("408", b"HTTP/1.1 408 ")])
def test_the_server_ends_what_lay_idle_for_the_limit(name: str, said: bytes) -> None:
    async def scene() -> None:
        inbound, transport = connected(Origin(named(name), 100))
        await asyncio.sleep(5.0)  # before its first request a connection has no limit
        inbound.data_received(b"GET /1-3 HTTP/1.1\r\n\r\n")
        transport.octets = b""
        await asyncio.sleep(LIMIT_SECONDS - 0.01)
        assert not transport.is_closing()
        await asyncio.sleep(0.02)
        assert transport.is_closing()
        assert transport.octets.startswith(said)
        inbound.data_received(b"GET /1-4 HTTP/1.1\r\n\r\n")
        assert list(inbound.origin.delivered) == [b"GET /1-3"]

    run_virtual(scene())


def test_the_limit_changes_for_all_connections_midway() -> None:
    async def scene() -> None:
        origin = Origin(named("change"), 4)
        first, idle = connected(origin)
        first.data_received(b"GET /1-1 HTTP/1.1\r\n\r\n")
        await asyncio.sleep(1.0)
        assert not idle.closed
        second, other = connected(origin)
        second.data_received(b"GET /2-1 HTTP/1.1\r\n\r\n")
        await asyncio.sleep(0.01)
        assert [one.closed for one in (idle, other)] == [True, False]
        await asyncio.sleep(LIMIT_SECONDS)
        assert other.closed

    run_virtual(scene())
