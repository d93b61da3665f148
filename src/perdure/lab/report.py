"""A report in a folder: one page that opens in any browser, and everything on it in formats of its own.

DIR/index.html                 claims, tables and pictures of every scenario; needs nothing else
DIR/report.json                the same for a machine
DIR/NAME-ACT.svg               each act of a scenario; ACT counts from 1
DIR/NAME-table-N.svg           each table as bars, where matplotlib is installed
DIR/NAME.har, NAME.trace.json  requests and responses; connections, as rows (`exports`)
DIR/NAME.pcap                  what the links carried, where the kernel's packets crossed them
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from perdure.lab.exports import har, trace_events
from perdure.lab.figures import NOTHING, document, overall
from perdure.lab.lanes import Timeline
from perdure.lab.packets import write_capture
from perdure.lab.perform import EMULATED, Outcome, machine
from perdure.lab.picture import draw
from perdure.lab.table import Table, cell_text
from perdure.lab.verdict import Claim, Holds, seconds_text

try:
    from perdure.lab.plot import bars
except ImportError:  # matplotlib is an extra

    def bars(table: Table) -> str:
        """There is nothing to draw with."""
        return ""


STYLE: Final = """
body{font:15px/1.5 system-ui,sans-serif;max-width:1020px;margin:2em auto;padding:0 1em;color:#222}
h2{margin-top:2.5em;border-bottom:1px solid #ccc}figure{margin:1em 0;overflow-x:auto}
figcaption{color:#555;font-size:13px}svg{max-width:100%;height:auto}
table{border-collapse:collapse;margin:1em 0}td,th{padding:.2em .8em;text-align:left}

td,th{border-bottom:1px solid #e3e3e3}td.number{text-align:right;font-variant-numeric:tabular-nums}
.holds{color:#1c7a3a}
.fails{color:#b00020;font-weight:600}
.notshown{color:#8a6d1a}nav li{line-height:1.35}.emulated{background:#fbf3d9;padding:.5em 1em}
"""


def write_report(
    folder: Path,
    outcomes: Sequence[Outcome],
    left_out: Mapping[str, str] = NOTHING,
    *,
    interrupted: bool = False,
) -> list[Path]:
    """Write a report; files of the same names are replaced.

    Args:
        left_out, interrupted: as of `figures.document`.

    Returns:
        What was written, the page first.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = [
        _write(folder / "index.html", page(outcomes, left_out, interrupted=interrupted)),
        _write_json(folder / "report.json", document(outcomes, left_out, interrupted=interrupted)),
    ]
    for outcome in outcomes:
        name = outcome.scenario.name
        for number, act in enumerate(outcome.acts, 1):
            written.append(_write(folder / f"{name}-{number}.svg", draw(act)))
        for number, table in enumerate(outcome.tables, 1):
            if drawn := bars(table):
                written.append(_write(folder / f"{name}-table-{number}.svg", drawn))
        written.append(_write_json(folder / f"{name}.har", har(outcome)))
        written.append(_write_json(folder / f"{name}.trace.json", trace_events(outcome)))
        if outcome.carried:
            path = folder / f"{name}.pcap"
            with path.open("wb") as file:
                write_capture(file, outcome.carried, outcome.epoch)
            written.append(path)
    return written


def _write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def _write_json(path: Path, content: Any) -> Path:
    return _write(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def page(
    outcomes: Sequence[Outcome], left_out: Mapping[str, str] = NOTHING, *, interrupted: bool = False
) -> str:
    """The whole report as one HTML page, without scripts and without other files."""
    about = machine()
    whole = overall(outcomes)
    lines = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>perdure lab: {whole.value}</title><style>{STYLE}</style></head><body>",
        "<h1>perdure lab</h1>",
        f"<p>{len(outcomes)} scenarios: {_word(whole)}. Measured on {about['system']} {about['kernel']}, "
        f"{about['machine']}, {about['processors']} processors, Python {about['python']}.</p>",
        *(f'<p class="emulated">Emulated: {escape(words)}.</p>' for words in _emulated(outcomes)),
        "<p>It was interrupted: further scenarios were not finished.</p>" if interrupted else "",
        "<nav><ul>",
    ]
    for outcome in outcomes:
        scenario = outcome.scenario
        lines.append(
            f'<li><a href="#{scenario.name}">{escape(scenario.title)}</a> '
            f"({', '.join(scenario.rows)}): {_word(outcome.holds)}</li>"
        )
    lines += [f"<li>{escape(name)}: left out: {escape(why)}</li>" for name, why in left_out.items()]
    lines.append("</ul></nav>")
    for outcome in outcomes:
        lines += _section(outcome)
    return "\n".join([*lines, "</body></html>\n"])


def _emulated(outcomes: Sequence[Outcome]) -> list[str]:
    """What the reader must know of figures that are not the kernel's."""
    return [words for words in dict.fromkeys(EMULATED[outcome.backend] for outcome in outcomes) if words]


def _section(outcome: Outcome) -> Iterator[str]:
    scenario = outcome.scenario
    yield (
        f'<section id="{scenario.name}" data-verdict="{outcome.holds.value}" '
        f'data-claims="{len(outcome.claims)}" data-seconds="{outcome.seconds:.3f}">'
    )
    yield f"<h2>{escape(scenario.title)}</h2>"
    about = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(scenario.about))
    yield f"<p>{about}</p>"
    yield (
        f"<p>{_word(outcome.holds)}; shows {', '.join(scenario.rows)}; ran on {outcome.backend} in "
        f"{seconds_text(outcome.seconds)}; congestion control {escape(scenario.congestion)}.</p>"
    )
    if outcome.error:
        yield f'<p class="fails">{escape(outcome.error)}</p>'
    yield from _claims(outcome.claims)
    for table in outcome.tables:
        yield from _table(table)
        if drawn := bars(table):
            yield f"<figure>{drawn}</figure>"
    for number, act in enumerate(outcome.acts, 1):
        yield from _act(scenario.name, number, act)
    yield "</section>"


def _claims(claims: Sequence[Claim]) -> Iterator[str]:
    yield "<table><tr><th></th><th>what</th><th>expected</th><th>measured</th><th></th></tr>"
    for claim in claims:
        cells = "".join(
            f"<td>{escape(cell)}</td>" for cell in (claim.what, claim.expected, claim.measured, claim.why)
        )
        yield f"<tr><td>{_word(claim.holds)}</td>{cells}</tr>"
    yield "</table>"


def _table(table: Table) -> Iterator[str]:
    yield f"<table><caption>{escape(table.title)}</caption><tr>"
    yield "".join(f"<th>{escape(column)}</th>" for column in table.columns) + "</tr>"
    for row in table.rows:
        cells = (
            f"<td{'' if isinstance(cell, str) else ' class=number'}>{escape(cell_text(cell))}</td>"
            for cell in row
        )
        yield f"<tr>{''.join(cells)}</tr>"
    yield "</table>"


def _act(name: str, number: int, act: Timeline) -> Iterator[str]:
    lanes, packets = len(act.lanes), act.packets
    yield (
        f'<figure id="{name}-{number}" data-seconds="{act.seconds:.4f}" data-connections="{lanes}" '
        f'data-packets="{packets}">'
    )
    yield draw(act)
    known = f", {packets} packets" if packets else ""
    plural = "" if lanes == 1 else "s"
    yield (
        f"<figcaption>{escape(act.name)}: {seconds_text(act.seconds)}, {lanes} connection{plural}{known}"
        "</figcaption></figure>"
    )


def _word(holds: Holds) -> str:
    return f'<span class="{holds.value.replace(" ", "")}">{holds.value}</span>'
