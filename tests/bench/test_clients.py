"""What runs in the process of a client that is measured: lanes, and the commands it takes."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import pytest

from bench.clients import drive, lanes
from bench.clients.asker import Answer, name_of
from bench.clients.driven import ClientEnded, driven
from bench.clients.lanes import Lane, Tally
from bench.clients.standstill import STEP_SECONDS, Standstill
from bench.clients.subjects import OURS, SUBJECTS, Subject
from tests.programs import raw_server, read_heads


def lane(number: int = 0, together: bool = False, count: int = 5) -> Lane:
    return Lane("POST", number, f"http://a:{number}", count, 0.4, 0.6, together)


def test_a_lane_rests_within_its_bounds_and_differently_from_others() -> None:
    gaps = [list(lane(number, count=50).gaps()) for number in range(3)]
    assert all(0.4 <= gap <= 0.6 for one in gaps for gap in one[1:])
    assert gaps[0] != gaps[1] != gaps[2]
    assert gaps[0] == list(lane(0, count=50).gaps()), "every client rests alike"


def test_lanes_that_ask_together_rest_alike_and_begin_at_once() -> None:
    one, other = (list(lane(number, True).gaps()) for number in (1, 2))
    assert one == other
    assert one[0] == 0.0


def test_each_request_has_an_identity_that_its_answer_must_carry() -> None:
    asked = [(url, content, wanted) for _, url, content, wanted in lane(3, count=2).requests()]
    assert asked == [
        ("http://a:3/3-0", b"/3-0", b"POST /3-0"),
        ("http://a:3/3-1", b"/3-1", b"POST /3-1"),
    ]


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (Answer(200, b"GET /1-1"), ""),
        (Answer(200, b"GET /1-2"), "foreign answer"),
        (Answer(408, b""), "status 408"),
        (ConnectionResetError(), "ConnectionResetError"),
    ],
)
def test_what_counts_as_a_failure(answer: Answer | Exception, fault: str) -> None:
    tally = Tally()
    tally.note(lane(), answer, b"GET /1-1")
    assert tally.told() == {"asked": 1, "failed": {fault: 1} if fault else {}, "worst": int(bool(fault))}


class Counting:
    """An asker that fails every second request, in either manner."""

    def __init__(self) -> None:
        self.urls: list[str] = []

    def ask(self, method: str, url: str, content: bytes | None) -> Answer:
        self.urls.append(url)
        if url.endswith(("1", "3")):
            raise TimeoutError
        return Answer(200, f"{method} /{url.rpartition('/')[2]}".encode())

    def abandon(self, url: str) -> Answer:
        return Answer(200, b"")

    def end(self) -> None:
        pass


class CountingOnLoop:
    """The same on an event loop."""

    def __init__(self, counting: Counting) -> None:
        self.counting = counting

    async def ask(self, method: str, url: str, content: bytes | None) -> Answer:
        return self.counting.ask(method, url, content)

    async def abandon(self, url: str) -> Answer:
        return self.counting.abandon(url)

    async def end(self) -> None:
        pass


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("on_loop", [False, True])
def test_all_requests_of_all_lanes_are_asked_and_counted(on_loop: bool, together: bool) -> None:
    counting = Counting()
    some = [Lane("GET", number, f"http://a:{number}", 4, 0.0, 0.001, together) for number in range(3)]
    if on_loop:
        told = asyncio.run(lanes.run_on_loop(CountingOnLoop(counting), some))
    else:
        told = lanes.run_in_threads(counting, some)
    assert told == {"GET": {"asked": 12, "failed": {"TimeoutError": 6}, "worst": 2}}
    assert len(set(counting.urls)) == 12


def test_a_process_that_could_not_run_is_told() -> None:
    with Standstill() as standstill:
        time.sleep(2 * STEP_SECONDS)
        sys.setswitchinterval(5.0)  # the interpreter's own lock stands for a busy machine
        try:
            until = time.monotonic() + 0.2
            while time.monotonic() < until:
                pass
        finally:
            sys.setswitchinterval(0.005)
        time.sleep(2 * STEP_SECONDS)
    assert standstill.longest > 0.1


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer(200, b"x" * 200), {"status": 200, "content": "x" * 100, "length": 200}),
        (ValueError("why"), {"error": "ValueError", "text": "why"}),
    ],
)
def test_what_is_told_of_one_request(answer: Answer | Exception, told: dict[str, Any]) -> None:
    report = drive.report(answer, 0.0)
    assert report.pop("seconds") > 0
    assert report == told
    assert json.loads(json.dumps(report)) == told


def test_an_error_of_libcurl_is_told_by_its_number() -> None:
    curl = type("error", (Exception,), {"__module__": "pycurl"})
    assert name_of(curl(56, "Recv failure")) == "CURLE_56"
    assert name_of(ValueError(56)) == "ValueError"


@pytest.mark.slow
@pytest.mark.parametrize("subject", OURS, ids=lambda subject: str(subject.name))
def test_a_client_in_its_process_does_as_it_is_told(subject: Subject) -> None:
    heads: list[bytes] = []

    def converse(connection: Any) -> None:
        heads.append(read_heads(connection, 1))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")

    with raw_server(converse) as url, driven(subject) as client:
        client.begin(30.0)
        asked = client.do("ask", method="POST", url=f"{url}/a", octets=3)
        assert (asked["status"], asked["content"]) == (200, "hi")
        assert client.do("abandon", url=f"{url}/b")["status"] == 200
        assert "error" in client.do("ask", method="GET", url="http://127.0.0.1:1/", octets=None)
        client.do("end")
    assert [head.partition(b" HTTP")[0] for head in heads] == [b"POST /a", b"GET /b"]


def test_a_client_that_cannot_be_started_is_told_from_one_that_failed() -> None:
    missing = Subject("missing", "bench.clients.with_nothing")
    told = "missing: its process ended with status 1"
    with driven(missing) as client, pytest.raises(ClientEnded, match=told):
        client.begin()


def test_niquests_shares_its_environment_with_nobody() -> None:
    homes = {one.name: one.requirements for one in SUBJECTS}
    assert [name for name, home in homes.items() if home == homes["niquests"]] == ["niquests"]
