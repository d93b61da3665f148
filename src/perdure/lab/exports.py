"""What happened, in the formats of programs that others look at it with.

| format       | opened by                         | what it has                                          |
|--------------|-----------------------------------|------------------------------------------------------|
| HAR 1.2      | browsers' developer tools         | each request with its response and their times       |
| trace events | Chrome's about:tracing, Perfetto  | each connection as a row: handshake, exchanges, idle |
| pcap         | Wireshark, tcpdump (`packets`)    | every frame, as far as its beginning is kept         |

Contents are not kept. Heads are kept as far as `lanes.CONTENT_OCTETS`; a longer one is cut, and says so.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator
from importlib import metadata
from typing import Any, Final

from perdure.lab.lanes import CONTENT_OCTETS, Lane, Message, Timeline
from perdure.lab.perform import Outcome
from perdure.lab.timeline import HANDSHAKE, IDLE, REQUEST, RESPONSE, WAITING, extent, spans_of

SPANS: Final = {
    HANDSHAKE: "handshake",
    REQUEST: "request under way",
    WAITING: "waiting for the response",
    RESPONSE: "response",
    IDLE: "idle",
}


def har(outcome: Outcome) -> dict[str, Any]:
    """Write what was asked and answered as a HAR: a page for each act, an entry for each answered request.

    Times of an outcome in virtual time begin with 1970.
    """
    version = metadata.version("perdure")
    pages, entries = [], []
    for number, act in enumerate(outcome.acts, 1):
        page = f"act-{number}"
        pages.append(
            {
                "startedDateTime": _moment(outcome, act, 0.0),
                "id": page,
                "title": f"{outcome.scenario.name}: {act.name}",
                "pageTimings": {"onLoad": _milliseconds(act.seconds)},
            }
        )
        for lane in act.lanes:
            entries += [_entry(outcome, act, lane, page, *pair) for pair in _exchanges(lane)]
    return {
        "log": {
            "version": "1.2",
            "creator": {"name": "perdure", "version": version},
            "pages": pages,
            "entries": entries,
        }
    }


def _exchanges(lane: Lane) -> Iterator[tuple[int, tuple[Message, bytes], tuple[Message, bytes]]]:
    """The n-th request of a connection with the n-th response, and the heads of both."""
    sides: list[list[tuple[Message, bytes]]] = []
    for side in ("client", "server"):
        messages = [each for each in lane.messages if each.sender == side and each.text]
        heads = lane.heads("client" if side == "client" else "server")
        sides.append(list(zip(messages, heads, strict=False)))
    for index, (request, response) in enumerate(zip(*sides, strict=False)):
        yield index, request, response


def _entry(
    outcome: Outcome,
    act: Timeline,
    lane: Lane,
    page: str,
    index: int,
    request: tuple[Message, bytes],
    response: tuple[Message, bytes],
) -> dict[str, Any]:
    asked, answered = request[0], response[0]
    method, target, version = [*asked.text.split(" "), "", ""][:3]
    connect = lane.established_at - lane.began_at if index == 0 and lane.established_at < math.inf else -1.0
    began = lane.began_at if connect > 0 else asked.began_at
    times = {
        "blocked": max(0.0, asked.began_at - began - max(0.0, connect)),
        "connect": connect,
        "send": asked.ended_at - asked.began_at,
        "wait": max(0.0, answered.began_at - asked.ended_at),
        "receive": max(0.0, answered.ended_at - max(answered.began_at, asked.ended_at)),
    }
    timings = {name: _milliseconds(seconds) if seconds >= 0 else -1 for name, seconds in times.items()}
    status = answered.text.split(" ", 2)
    return {
        "pageref": page,
        "startedDateTime": _moment(outcome, act, began),
        "time": round(sum(max(0.0, each) for each in timings.values()), 3),
        "request": {
            "method": method,
            "url": f"http://{lane.server}:{lane.server_port}{target}" if target[:1] == "/" else target,
            "httpVersion": version,
            "queryString": [],
            **_head(request[1], asked.octets),
        },
        "response": {
            "status": int(status[1]),
            "statusText": status[2] if len(status) > 2 else "",
            "httpVersion": status[0],
            "content": {"size": -1, "mimeType": ""},
            "redirectURL": "",
            **_head(response[1], answered.octets),
        },
        "cache": {},
        "timings": timings,
        "connection": str(lane.number),
        "serverIPAddress": lane.server,
    }


def _head(octets: bytes, message_octets: int) -> dict[str, Any]:
    """Headers of a message, and sizes as far as they are known."""
    head, end, _ = octets.partition(b"\r\n\r\n")
    lines = [line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:]]
    known = len(head) + 4 if end else -1
    found: dict[str, Any] = {
        "cookies": [],
        "headers": [{"name": name, "value": value.strip()} for name, colon, value in lines if colon],
        "headersSize": known,
        "bodySize": message_octets - known if end else -1,
    }
    if not end:
        found["comment"] = f"the head is cut after {CONTENT_OCTETS} octets"
    return found


def trace_events(outcome: Outcome) -> dict[str, Any]:
    """Write acts as processes and connections as their threads, in the format of Chrome's tracing."""
    events: list[dict[str, Any]] = []
    for number, act in enumerate(outcome.acts, 1):
        events.append(_name("process_name", number, 0, act.name))
        end = extent(act)
        for lane in act.lanes:
            title = f"{lane.number}: {lane.client} to {lane.server}"
            events.append(_name("thread_name", number, lane.number, title))
            events += [
                {
                    "name": SPANS[span.what],
                    "ph": "X",
                    "pid": number,
                    "tid": lane.number,
                    "ts": round(span.since * 1e6),
                    "dur": round((span.until - span.since) * 1e6),
                }
                for span in spans_of(lane, end)
            ]
            events += [_instant(number, lane, message.began_at, message.text) for message in lane.messages]
            if lane.ended_at < math.inf:
                why = "; ".join(f"{host}: {reason}" for host, reason in lane.reasons.items())
                events.append(_instant(number, lane, lane.ended_at, f"end: {why or lane.ended_by}"))
        for note in act.notes:
            event = {"name": f"{note.host}: {note.text}", "ph": "i", "s": "p", "pid": number, "tid": 0}
            events.append({**event, "ts": round(note.at * 1e6)})
    return {"traceEvents": events, "displayTimeUnit": "ms"}


def _name(what: str, process: int, thread: int, name: str) -> dict[str, Any]:
    return {"name": what, "ph": "M", "pid": process, "tid": thread, "args": {"name": name}}


def _instant(process: int, lane: Lane, at: float, name: str) -> dict[str, Any]:
    event = {"name": name or "content", "ph": "i", "s": "t", "pid": process, "tid": lane.number}
    return {**event, "ts": round(at * 1e6)}


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _moment(outcome: Outcome, act: Timeline, at: float) -> str:
    seconds = outcome.epoch + act.began_at + at
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="milliseconds")
