"""Timelines as SVG: two rails for each connection, what crosses between them, and why it ended.

    client ──●────────────────────●──── ...     time runs to the right; a slanted line is something under way
              ╲      ╱   ╲      ╱
    server ────●────●─────●────●─────── ...

The drawing has no script and names no other file, so that it can stand in any page.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final

from perdure.lab.lanes import Crossing, Kind, Lane, Timeline
from perdure.lab.timeline import IDLE, WAITING, extent, spans_of
from perdure.lab.verdict import seconds_text

WIDTH: Final = 960
LEFT: Final = 130
RIGHT: Final = 20
TOP: Final = 44
LANE: Final = 78
RAIL: Final = 36
"""Between the two rails of a lane."""
MOST_LINES: Final = 1500
"""Of one act, shared by its lanes; where more packets crossed, every n-th is drawn."""
MOST_LANES: Final = 30
"""Of one act; the rest is told as a number."""

COLOURS: Final = {
    Kind.SYN: "#7a7a7a",
    Kind.SYN_ACK: "#7a7a7a",
    Kind.ACK: "#d8d8d8",
    Kind.CONTENT: "#1f6fb2",
    Kind.FIN: "#b23a1f",
    Kind.RST: "#d00000",
    Kind.REFUSED: "#d00000",
}
SHADES: Final = {IDLE: "idle", WAITING: "waiting"}
FROM_SERVER: Final = "#2a8f4e"
"""Content of the server."""
STYLE: Final = (
    "text{font:12px system-ui,sans-serif;fill:#222}.small{font-size:10px;fill:#555}"
    ".rail{stroke:#999;stroke-width:1}.idle{fill:#f3ead2}.waiting{fill:#fbe0da}.title{font-weight:600;font-size:14px}"
)


def draw(timeline: Timeline) -> str:
    """Draw an act; returns a whole SVG document."""
    end = extent(timeline) or 1.0
    lanes = timeline.lanes[:MOST_LANES]
    more = len(timeline.lanes) - len(lanes)
    height = TOP + LANE * len(lanes) + 30 + 16 * bool(more)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(timeline.name)}">',
        f"<style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text class="title" x="10" y="18">{escape(timeline.name)}</text>',
        f'<text class="small" x="10" y="33">{escape(timeline.links)}</text>',
    ]
    for index, lane in enumerate(lanes):
        parts += _lane(lane, TOP + LANE * index + 14, end, MOST_LINES // len(lanes))
    if more:
        parts.append(f'<text class="small" x="10" y="{height - 36}">and {more} connections more</text>')
    parts += _axis(end, height - 22)
    parts += _notes(timeline, end, height - 22)
    return "\n".join([*parts, "</svg>\n"])


def _x(at: float, end: float) -> float:
    return round(LEFT + (WIDTH - LEFT - RIGHT) * min(max(at, 0.0), end) / end, 2)


def _lane(lane: Lane, y: float, end: float, most: int) -> Iterator[str]:
    below = y + RAIL
    yield f'<text x="10" y="{y + 4}">{escape(lane.client)}</text>'
    yield f'<text x="10" y="{below + 4}">{escape(lane.server)}</text>'
    yield f'<text class="small" x="10" y="{y + RAIL / 2 + 4}">connection {lane.number}</text>'
    finish = min(lane.ended_at, end)
    for what, since, until in spans_of(lane, end):
        if what in SHADES:
            left, right = _x(since, end), _x(until, end)
            yield (
                f'<rect class="{SHADES[what]}" x="{left}" y="{y}" width="{right - left:.2f}" height="{RAIL}">'
                f"<title>{SHADES[what]} {seconds_text(until - since)}</title></rect>"
            )
    for rail in (y, below):
        left, right = _x(lane.began_at, end), _x(finish, end)
        yield f'<line class="rail" x1="{left}" y1="{rail}" x2="{right}" y2="{rail}"/>'
    step = max(1, -(-len(lane.crossings) // most))
    for crossing in lane.crossings[::step]:
        yield _crossing(lane, crossing, y, end)
    reasons = [f"{host}: {reason}" for host, reason in lane.reasons.items()]
    if reasons:
        yield f'<text class="small" x="{LEFT}" y="{below + 16}">{escape("; ".join(reasons))}</text>'


def _crossing(lane: Lane, crossing: Crossing, y: float, end: float) -> str:
    start, finish = (y, y + RAIL) if crossing.sender == "client" else (y + RAIL, y)
    arrived = crossing.arrived_at
    colour = COLOURS[crossing.kind]
    if crossing.kind is Kind.CONTENT and crossing.sender == "server":
        colour = FROM_SERVER
    if arrived is None:  # lost on its way
        finish, arrived = (start + finish) / 2, crossing.sent_at
        colour = COLOURS[Kind.RST]
    dashes = ' stroke-dasharray="3 2"' if crossing.again else ""
    words = escape(f"{lane.host(crossing.sender)}: {crossing.start_line or crossing.kind.value}")
    return (
        f'<line x1="{_x(crossing.sent_at, end)}" y1="{start}" x2="{_x(arrived, end)}" y2="{finish}" '
        f'stroke="{colour}"{dashes}><title>{words}, {crossing.octets} octets, sent at '
        f"{crossing.sent_at:.4f} s</title></line>"
    )


def _axis(end: float, y: float) -> Iterator[str]:
    yield f'<line class="rail" x1="{LEFT}" y1="{y}" x2="{WIDTH - RIGHT}" y2="{y}"/>'
    for step in range(5):
        at = end * step / 4
        x = _x(at, end)
        anchor = "end" if step == 4 else "middle" if step else "start"
        yield f'<line class="rail" x1="{x}" y1="{y}" x2="{x}" y2="{y + 4}"/>'
        yield f'<text class="small" x="{x}" y="{y + 15}" text-anchor="{anchor}">{seconds_text(at)}</text>'


def _notes(timeline: Timeline, end: float, bottom: float) -> Iterator[str]:
    for note in timeline.notes:
        x = _x(note.at, end)
        yield (
            f'<line x1="{x}" y1="{TOP}" x2="{x}" y2="{bottom}" stroke="#b8860b" stroke-dasharray="2 3">'
            f"<title>{escape(f'{note.host}: {note.text}')}</title></line>"
        )
