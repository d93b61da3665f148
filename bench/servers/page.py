"""docs/servers.md: written from what was measured, and read back, since it is the only record."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Final

from bench.servers.measure import ROUNDS
from bench.servers.row import Row
from bench.servers.rows import GROUPS, ROWS
from bench.servers.subjects import SUBJECTS, TOP, Subject, versions

PAGE: Final = TOP / "docs" / "servers.md"
BREACH: Final = "✗ "
NOT_MEASURED: Final = "–"
NUMBER: Final = re.compile(r"([+-]?\d+\.\d+) (s\b|KiB|µs)")
TOLERANCE_SECONDS: Final = 0.7
TOLERANCE_OF_MEMORY: Final = 0.5

TEMPLATE: Final = """\
# How Python servers treat persistent connections

<!-- Written by `python -m bench.servers --write`; edit the rows in bench/servers, or the text in page.py. -->

Each cell below was measured by a function in [bench/servers](../bench/servers/rows.py), which spoke raw
octets over a socket of loopback to the server at the head of the column; none is copied from documentation.
All servers run one process and the same [application](../bench/servers/applications.py), in the form that
each takes (ASGI, WSGI, aiohttp), with uvloop where it can be used and the access log off.

**{mark}** marks a cell that differs from what the section at the end of its row demands; rows without a
section are told, not judged; `–` was not measured. Of {judged} rows that are so judged, each agrees with:

{agreements}

*Closes* means that the response announced it with `Connection: close` and that a FIN followed; *closes
unannounced*, that nothing was said; *by RST*, that the connection was reset, which may destroy a response on
its way to the client. *Persists* means that the next request on the connection was answered, and with its
own answer.

Measured on {when}, {machine}:

{versions}

{tables}

## How it was done

*Time limits* are set to 2 s wherever a server has a setting (gunicorn's `timeout`: 4 s); a limit that does
not exist is waited for 8 s. perdure keeps an idle connection 1 s longer than it advertises, which is its
default. Times are held to within {tolerance} s.

*Segments* are those with data that the client's kernel counted (`TCP_INFO`); on loopback each is one write.

*Memory* is the growth of the resident memory of all processes of the server by 2000 connections that are
idle after one exchange each. *CPU* is the user and kernel time of all of them, by the requests that `wrk`
saw answered in 2 s over 16 connections, the server pinned to one core and `wrk` to another: the least of
{rounds} rounds, each over all servers. Such figures are of one machine, and of a handler that does next to
nothing; read them in proportion.

    python -m bench.servers                                       print the whole table (about seven minutes)
    python -m bench.servers --only perdure --row idle --row silent
    python -m bench.servers --list                                the names of the rows
    python -m bench.servers --write                               write this page

The peers are installed into a virtual environment of their own below `out/`, at the versions of
[requirements.txt](../bench/servers/requirements.txt).
[tests/bench/test_servers_table.py](../tests/bench/test_servers_table.py) asks every row of perdure's column
again, and fails if a cell of this page no longer holds.
"""

Cells = Mapping[tuple[str, str], str]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def marked(row: Row, cell: str) -> str:
    return f"{BREACH if cell != NOT_MEASURED and not row.agrees(cell) else ''}{cell}"


def group_table(group: str, cells: Cells, subjects: Sequence[Subject] = SUBJECTS) -> str:
    """The rows of one group under the names of all subjects."""
    lines = [
        [
            row.title,
            *(marked(row, cells.get((row.title, one.name), NOT_MEASURED)) for one in subjects),
            row.source,
        ]
        for row in ROWS
        if row.group == group
    ]
    return table(["", *(one.name for one in subjects), "section"], lines)


def agreements(cells: Cells) -> str:
    """How many of the rows that are judged each subject agrees with."""
    judged = [row for row in ROWS if row.wanted]
    counts = [
        sum(row.agrees(cells.get((row.title, one.name), NOT_MEASURED)) for row in judged) for one in SUBJECTS
    ]
    return table([one.name for one in SUBJECTS], [[str(count) for count in counts]])


def machine() -> str:
    """Its kind, not its name."""
    cores = len(re.findall(r"^processor", Path("/proc/cpuinfo").read_text(encoding="ascii"), re.MULTILINE))
    return (
        f"{platform.system()} {platform.release().partition('-')[0]} on {platform.machine()}, "
        f"{cores} cores, {platform.python_implementation()} {platform.python_version()}"
    )


def write(cells: Cells) -> None:
    """Write the page; what `cells` does not have is taken over from the page as it was."""
    everything = {**read_cells(), **cells}
    PAGE.write_text(
        TEMPLATE.format(
            mark=BREACH.strip(),
            judged=sum(bool(row.wanted) for row in ROWS),
            agreements=agreements(everything),
            when=date.today().isoformat(),
            machine=machine(),
            versions="\n".join(f"* {one.name}: {versions(one)}" for one in SUBJECTS),
            tables="\n\n".join(f"## {group}\n\n{group_table(group, everything)}" for group in GROUPS),
            rounds=ROUNDS,
            tolerance=TOLERANCE_SECONDS,
        ),
        encoding="utf-8",
    )


def read_cells() -> dict[tuple[str, str], str]:
    """The cells of the page, by title and subject; none where there is no page."""
    if not PAGE.is_file():
        return {}
    cells: dict[tuple[str, str], str] = {}
    names: list[str] = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if not line.startswith("| ") or line.startswith("| --- "):
            continue
        title, *words = (word.strip() for word in line.removeprefix("|").removesuffix("|").split("|"))
        if not title:
            names = words
            continue
        if len(words) != len(names):  # the table of agreements, before all others
            continue
        pairs = zip(names, words, strict=True)
        cells.update({(title, name): word.removeprefix(BREACH) for name, word in pairs if name != "section"})
    return cells


def holds(written: str, measured: str) -> bool:
    """Whether a cell still says the same: words exactly, seconds and memory within their tolerance."""
    if NUMBER.sub(r"# \2", written) != NUMBER.sub(r"# \2", measured):
        return False
    pairs = zip(NUMBER.findall(written), NUMBER.findall(measured), strict=True)
    return all(close_enough(float(before), float(after), unit) for (before, unit), (after, _) in pairs)


def close_enough(before: float, after: float, unit: str) -> bool:
    """Whether two measurements of one thing agree; CPU depends on the machine and is not compared."""
    if unit == "s":
        return abs(after - before) <= TOLERANCE_SECONDS
    if unit == "KiB":
        return abs(after - before) <= TOLERANCE_OF_MEMORY * before
    return True
