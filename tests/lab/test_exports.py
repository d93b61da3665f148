"""What happened as HAR and as trace events."""

from __future__ import annotations

import json

from perdure.lab.exports import har, trace_events
from perdure.lab.lanes import Crossing, Kind
from tests.lab.lanes import REQUEST, RESPONSE
from tests.lab.outcomes import outcome


def test_har_has_each_answered_request_with_its_times_in_milliseconds() -> None:
    document = json.loads(json.dumps(har(outcome())))
    log = document["log"]
    assert (log["version"], log["pages"][0]["title"]) == ("1.2", "test: an & act")
    [entry] = log["entries"]
    assert entry["startedDateTime"] == "1970-01-01T00:00:00.000+00:00"
    assert entry["timings"] == {
        "blocked": 0.0,
        "connect": 100.0,
        "send": 100.0,
        "wait": 100.0,
        "receive": 100.0,
    }
    assert entry["time"] == 400.0
    request, response = entry["request"], entry["response"]
    assert (request["method"], request["url"], request["httpVersion"]) == (
        "GET",
        "http://server:8000/",
        "HTTP/1.1",
    )
    assert request["headers"] == [{"name": "Host", "value": "a"}]
    assert (request["headersSize"], request["bodySize"]) == (len(REQUEST), 0)
    assert (response["status"], response["statusText"], response["httpVersion"]) == (200, "OK", "HTTP/1.1")
    assert (response["headersSize"], response["bodySize"]) == (len(RESPONSE), 4)


def test_har_has_a_connect_time_for_the_first_request_alone_and_none_that_was_not_answered() -> None:
    result = outcome()
    lane = result.acts[0].lanes[0]
    again = [
        each._replace(sent_at=each.sent_at + 1, arrived_at=(each.arrived_at or 0) + 1)
        for each in lane.crossings
    ]
    lane.crossings[-1:] = [each for each in again if each.kind is Kind.CONTENT and not each.again]
    lane.crossings.append(Crossing("client", Kind.CONTENT, 3.0, 3.1, len(REQUEST), content=REQUEST))
    entries = har(result)["log"]["entries"]
    assert [entry["timings"]["connect"] for entry in entries] == [100.0, -1]


def test_har_says_so_where_a_head_is_longer_than_what_is_kept() -> None:
    result = outcome()
    lane = result.acts[0].lanes[0]
    lane.crossings[2] = lane.crossings[2]._replace(content=b"GET / HTTP/1.1\r\nHost: a\r\nCookie: aaaa")
    [entry] = har(result)["log"]["entries"]
    assert entry["request"]["headersSize"] == -1
    assert "cut after 446 octets" in entry["request"]["comment"]


def test_trace_has_a_row_for_each_connection_with_what_it_did() -> None:
    events = json.loads(json.dumps(trace_events(outcome())))["traceEvents"]
    names = [event["args"]["name"] for event in events if event["ph"] == "M"]
    assert names == ["an & act", "1: client to server"]
    spans = [(event["name"], event["ts"], event["dur"]) for event in events if event["ph"] == "X"]
    assert spans[0] == ("handshake", 0, 100000)
    assert [name for name, _, _ in spans] == [
        "handshake", "request under way", "waiting for the response", "response", "idle",
    ]  # fmt: skip
    points = [event["name"] for event in events if event["ph"] == "i"]
    assert points == [
        "GET / HTTP/1.1",
        "HTTP/1.1 200 OK",
        "end: server: idle limit reached (9112 §9.5)",
        "client: got <it>",
    ]
