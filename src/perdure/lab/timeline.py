"""Timelines as text: each connection a lane of characters; for who wants it all, a list of what was sent.

keep-alive accepted                                                        rtt 50 ms
client → server  1  ╌╌╌╌╌>>>██────────>>>██────────×        idle limit reached (9112 §9.5)
                    0                     0.400 s
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final, NamedTuple

from perdure.lab.lanes import ENDS, Kind, Lane, Timeline
from perdure.lab.verdict import seconds_text

BEFORE, HANDSHAKE, REQUEST, WAITING, RESPONSE, IDLE, END, AFTER = " ╌>·█─× "
LEGEND: Final = (
    f"{HANDSHAKE} handshake  {REQUEST} request under way  {WAITING} waiting for the response  "
    f"{RESPONSE} response  {IDLE} idle  {END} end"
)
WIDTH: Final = 64
"""Characters of a lane."""
SHOWN: Final = 24
"""Lanes of one act; of more, the rest is told as a number."""


class Span(NamedTuple):
    """What a lane is doing for a while."""

    what: str
    """One of the characters above."""
    since: float
    until: float


def spans_of(lane: Lane, end: float) -> list[Span]:
    """Cut a lane into what it does, in order and without gaps, up to its end or the act's."""
    finish = min(lane.ended_at, end)
    spans: list[Span] = []
    at = min(lane.established_at, finish)
    if at > lane.began_at:
        spans.append(Span(HANDSHAKE, lane.began_at, at))
    unanswered = 0
    for message in lane.messages:
        if message.began_at > at:
            spans.append(Span(WAITING if unanswered else IDLE, at, message.began_at))
        asks = message.sender == "client"
        unanswered = unanswered + bool(message.text) if asks else max(0, unanswered - bool(message.text))
        since = max(at, message.began_at)
        if message.ended_at > since:
            spans.append(Span(REQUEST if asks else RESPONSE, since, message.ended_at))
            at = message.ended_at
    if finish > at:
        spans.append(Span(WAITING if unanswered else IDLE, at, finish))
    return spans


def bar(lane: Lane, end: float, width: int = WIDTH) -> str:
    """Draw a lane as characters, `end` seconds wide."""
    scale = width / end if end > 0 else 0.0
    cells = [BEFORE] * width
    for what, since, until in spans_of(lane, end):
        first = min(width - 1, int(since * scale))
        # What is too short for a character still has one, unless it merely waits.
        last = max(first + (what not in (IDLE, WAITING)), math.ceil(until * scale - 0.5))
        for index in range(first, min(width, last)):
            cells[index] = what
    if lane.ended_at <= end:
        cells[min(width - 1, int(lane.ended_at * scale))] = END
    return "".join(cells).rstrip()


def text_of(timeline: Timeline, width: int = WIDTH) -> list[str]:
    """Draw an act: a line for each lane, and the time below them."""
    end = extent(timeline)
    names = [f"{lane.client} → {lane.server}" for lane in timeline.lanes]
    column = max(map(len, names), default=0)
    lines = [f"{timeline.name}    {timeline.links}".rstrip()]
    for name, lane in list(zip(names, timeline.lanes, strict=True))[:SHOWN]:
        lines.append(
            f"  {name:<{column}} {lane.number:>3}  {bar(lane, end, width):<{width}}  {_why(lane)}".rstrip()
        )
    if len(names) > SHOWN:
        lines.append(f"  {'':<{column}}      ... and {len(names) - SHOWN} connections more")
    if timeline.lanes:
        axis = seconds_text(end).rjust(width - 1)
        lines.append(f"  {'':<{column}}      0{axis}")
    lines += [f"  {seconds_text(note.at):>8}  {note.host}: {note.text}" for note in timeline.notes]
    return lines


def extent(timeline: Timeline) -> float:
    """The seconds that a picture of an act shows: to its end, or to what arrives last."""
    arrivals = [
        each.arrived_at for lane in timeline.lanes for each in lane.crossings if each.arrived_at is not None
    ]
    return max([timeline.seconds, *arrivals], default=0.0)


def _why(lane: Lane) -> str:
    """Who ended it first, and what for, as far as its own program says."""
    side = lane.ended_by
    if side is None:
        return ""
    host = lane.host(side)
    reason = lane.reasons.get(host)
    return f"{host}: {reason}" if reason else f"{host} closed"


def events_of(timeline: Timeline) -> Iterator[str]:
    """List what was sent in an act, connection by connection."""
    for lane in timeline.lanes:
        ends = f"{lane.client}:{lane.client_port} → {lane.server}:{lane.server_port}"
        yield f"  connection {lane.number}, {ends}"
        for at, sender, words in sorted(_events(lane)):
            yield f"    {at:>9.4f} s  {sender:<10} {words}"
        for host, reason in lane.reasons.items():
            yield f"    {'':>11}  {host:<10} gave it up: {reason}"


def _events(lane: Lane) -> Iterator[tuple[float, str, str]]:
    for each in lane.crossings:
        if each.kind in (Kind.SYN, Kind.SYN_ACK, *ENDS):
            again = ", again" if each.again else ""
            yield each.sent_at, lane.host(each.sender), f"{each.kind.value}{again}{_arrival(each.arrived_at)}"
        elif each.again or each.arrived_at is None:
            fate = "lost" if each.arrived_at is None else "sent again"
            yield each.sent_at, lane.host(each.sender), f"{each.octets} octets, {fate}"
    for message in lane.messages:
        words = message.text or "content"
        plural = "" if message.packets == 1 else "s"
        packets = f" in {message.packets} packet{plural}" if message.packets else ""
        what = f"{words}, {message.octets} octets{packets}{_arrival(message.ended_at)}"
        yield message.began_at, lane.host(message.sender), what


def _arrival(at: float | None) -> str:
    return ", lost" if at is None else f", there at {at:.4f}"
