"""docs/gateways.md: written from what was measured, and read back, since it is the only record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Final

from bench import written
from bench.clients.environments import TOP
from bench.matrix.row import Row
from bench.matrix.rows import GROUPS, ROWS
from bench.matrix.running import version_of
from bench.matrix.subjects import SUBJECTS, Subject
from bench.servers.page import machine
from bench.written import BREACH

PAGE: Final = TOP / "docs" / "gateways.md"
NOT_MEASURED: Final = "–"

TEMPLATE: Final = """\
# What proxies and gateways do with persistent connections

<!-- Written by `python -m bench.matrix --write`; edit the rows in bench/matrix, or the text in page.py. -->

Each cell was measured by a function in [bench/matrix](../bench/matrix/rows.py): a scripted origin behind the
proxy at the head of the column and a client in front of it, which speak raw octets over loopback; none is
copied from documentation. How each proxy is [configured](../bench/matrix/subjects.py): connections persist on
both sides, one worker, no cache; *retrying* adds what its manual offers against stale connections. Forward
proxies are asked in absolute-form.

**{mark}** marks a cell that differs from what the end of its row asks for: a section (MUST or SHOULD), or
*ours*, where no section decides and a gateway that keeps connections well should do so all the same;
`–` was not measured. Each agrees with so many rows:

{agreements}

*Fresh* or *reused*: the connection to the origin on which a request was answered. *Sent twice*: the origin
read the request on two connections. *Foreign answer*: octets that belong to no request, or to another's,
reached a client. *Says close*: the response announced it; *closes*: a FIN followed. *Octets told as whole*:
the client cannot see that content is missing. What the *origin* heard of a request that is refused is told
where anything crossed; content that is found wrong on its way may only reach it in part.

Measured on {when}, {machine}:

{versions}

{tables}

## How it was done

    python -m bench.matrix                                        print the whole table (about eight minutes)
    python -m bench.matrix --only perdure --row race-post --row hint
    python -m bench.matrix --list                                 the names of the rows
    python -m bench.matrix --write                                write this page

The exit status is 1 where perdure is wrong in a row. Debian's proxies are installed by `scripts/peers`,
those that come as wheels into a virtual environment of their own below `out/`, at the versions of
[requirements.txt](../bench/matrix/requirements.txt). A question that counts connections or scripts the
origin has a proxy and an origin to itself; the others share one.
[tests/bench/test_matrix.py](../tests/bench/test_matrix.py) asks perdure's columns again, and fails if a cell
of this page no longer holds.
"""

Cells = Mapping[tuple[str, str], str]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def marked(row: Row, subject: Subject, cell: str) -> str:
    wrong = cell != NOT_MEASURED and not row.agrees(cell, subject.forward)
    return f"{BREACH if wrong else ''}{cell}"


def group_table(group: str, cells: Cells) -> str:
    """The rows of one group under the names of all proxies."""
    lines = [
        [
            row.title,
            *(marked(row, one, cells.get((row.name, one.name), NOT_MEASURED)) for one in SUBJECTS),
            row.source,
        ]
        for row in ROWS
        if row.group == group
    ]
    return table(["", *(one.name for one in SUBJECTS), "section"], lines)


def agreements(cells: Cells) -> str:
    """How many rows each proxy agrees with: those of a section, and those of ours."""
    kinds: tuple[tuple[str, Callable[[Row], bool]], ...] = (
        ("of a section", lambda row: not row.is_ours),
        ("ours", lambda row: row.is_ours),
    )
    lines = []
    for name, belongs in kinds:
        judged = [row for row in ROWS if row.wanted and belongs(row)]
        counts = [
            sum(row.agrees(cells.get((row.name, one.name), NOT_MEASURED), one.forward) for row in judged)
            for one in SUBJECTS
        ]
        lines.append([f"{len(judged)} {name}", *map(str, counts)])
    return table(["", *(one.name for one in SUBJECTS)], lines)


def versions() -> str:
    """One line for each program."""
    found = {one.package: version_of(one.package, one.source) for one in SUBJECTS}
    return "\n".join(f"* {text}" for text in found.values())


def write(cells: Cells) -> None:
    """Write the page; what `cells` does not have is taken over from the page as it was."""
    everything = {**read_cells(), **cells}
    PAGE.write_text(
        TEMPLATE.format(
            mark=BREACH.strip(),
            agreements=agreements(everything),
            when=date.today().isoformat(),
            machine=machine(),
            versions=versions(),
            tables="\n\n".join(f"## {group}\n\n{group_table(group, everything)}" for group in GROUPS),
        ),
        encoding="utf-8",
    )


def read_cells() -> dict[tuple[str, str], str]:
    """The cells of the page, by name of the row and of the proxy; none where there is no page."""
    return written.read_cells(PAGE, {(row.group, row.title): row.name for row in ROWS})
