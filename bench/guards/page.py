"""docs/client-guards.md: written from what was measured, and read back, since it is the only record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Final

from bench import written
from bench.clients.environments import TOP
from bench.clients.subjects import SUBJECTS, versions
from bench.guards.row import Row
from bench.guards.rows import GROUPS, ROWS
from bench.servers.page import machine
from bench.written import BREACH

PAGE: Final = TOP / "docs" / "client-guards.md"
NOT_MEASURED: Final = "–"

TEMPLATE: Final = """\
# What HTTP clients do with a server that breaks the rules

<!-- Written by `python -m bench.guards --write`; edit the rows in bench/guards, or the text in page.py. -->

Each cell was measured by the scripts of [bench/guards](../bench/guards/rows.py), which speak raw octets over
a socket of loopback to the client at the head of the column; none is copied from documentation. Each client
[was made](../bench/clients/subjects.py) as its users make it, with its defaults and 2 s for a silent peer.

**{mark}** marks a cell that differs from what the section at the end of its row asks for (MUST or SHOULD),
or, where it leaves the choice (sending an idempotent request again), loses a request that could be saved;
rows without a section are told, not judged; `–` was not measured. Of {judged} rows that are so judged, each
agrees with:

{agreements}

A cell tells of the last request, or of both, parted by `;`. *Own answer*: the response that belongs to it.
*Foreign answer*: octets that the server had sent before, unasked, or behind another response: what came to
one caller was meant for nobody, or for another. *Fresh* or *reused*: the connection of the answer. *Sent
twice*: the server heard the request on two connections. *Error* names what was raised; *hangs* is an error
that only the time limit brought. *Takes all of it*: {flood:.0f} MiB, without an end.

Measured on {when}, {machine}:

{versions}

{tables}

## How it was done

    python -m bench.guards                                        print the whole table (about two minutes)
    python -m bench.guards --only perdure --row behind --row idle-200
    python -m bench.guards --list                                 the names of the rows
    python -m bench.guards --write                                write this page

The exit status is 1 where perdure is wrong in a row. Peers are installed into virtual environments of their
own below `out/`, at the versions of [bench/clients](../bench/clients/requirements.txt).
[tests/bench/test_guards.py](../tests/bench/test_guards.py) asks both columns of perdure again, and fails if
a cell of this page no longer holds.
"""

Cells = Mapping[tuple[str, str], str]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def marked(row: Row, cell: str) -> str:
    return f"{BREACH if cell != NOT_MEASURED and not row.agrees(cell) else ''}{cell}"


def group_table(group: str, cells: Cells) -> str:
    """The rows of one group under the names of all clients."""
    names = [one.name for one in SUBJECTS]
    lines = [
        [row.title, *(marked(row, cells.get((row.name, name), NOT_MEASURED)) for name in names), row.source]
        for row in ROWS
        if row.group == group
    ]
    return table(["", *names, "section"], lines)


def agreements(cells: Cells) -> str:
    """How many of the rows that are judged each client agrees with."""
    judged = [row for row in ROWS if row.wanted]
    counts = [
        sum(row.agrees(cells.get((row.name, one.name), NOT_MEASURED)) for row in judged) for one in SUBJECTS
    ]
    return table([one.name for one in SUBJECTS], [[str(count) for count in counts]])


def write(cells: Cells, flood_mib: float) -> None:
    """Write the page; what `cells` does not have is taken over from the page as it was."""
    everything = {**read_cells(), **cells}
    PAGE.write_text(
        TEMPLATE.format(
            mark=BREACH.strip(),
            judged=sum(bool(row.wanted) for row in ROWS),
            agreements=agreements(everything),
            flood=flood_mib,
            when=date.today().isoformat(),
            machine=machine(),
            versions="\n".join(f"* {one.name}: {versions(one)}" for one in SUBJECTS),
            tables="\n\n".join(f"## {group}\n\n{group_table(group, everything)}" for group in GROUPS),
        ),
        encoding="utf-8",
    )


def read_cells() -> dict[tuple[str, str], str]:
    """The cells of the page, by name of the row and of the client; none where there is no page."""
    return written.read_cells(PAGE, {(row.group, row.title): row.name for row in ROWS})
