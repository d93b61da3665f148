"""docs/client-race.md: the table of the races, written from what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final

from bench.clients.environments import TOP
from bench.clients.subjects import SUBJECTS, versions
from bench.race.run import STANDSTILL_SECONDS, Result
from bench.race.variant import DELAY_SECONDS, LANES, LIMIT_SECONDS, SPREAD_SECONDS, VARIANTS
from bench.servers.page import machine

PAGE: Final = TOP / "docs" / "client-race.md"
HEAD: Final = ("client", "", "failed", "sent again", "delivered twice", "reused", "dials")

TEMPLATE: Final = """\
# The race for an idle connection

<!-- Written by `python -m bench.race --write`; edit the text in bench/race/page.py. -->

A server closes a connection that has lain idle for {limit} s. A client that rests for about as long between
its requests sends some of them while the news of the close is on its way. Who loses such a request, and who
sends it twice?

The server stands behind a [relay](../bench/race/relay.py) that delays octets and ends of connections by
{delay:.0f} ms each way. Each client asks over {lanes} lanes of GET and as many of POST at the same time,
{asked} requests each, and rests {lowest:.1f} to {highest:.1f} s between an answer and the next request of a
lane. Every lane has an origin of its own (its own port), save in the last race. It is one client object for
all lanes, with its defaults; caps were raised where they are below the number of lanes
([how each was made](../bench/clients/asker.py)).

* *failed*: what the caller got instead of its answer: an error, a 408, or another request's answer.
* *sent again*: requests of which the client sent a second copy by itself. For GET that is what RFC 9112
  §9.3.1 allows; a POST may be applied twice by it (RFC 9110 §9.2.2).
* *delivered twice*: the server read it twice. This server never reads a request without answering it; one
  that does would apply each POST that is *sent again* a second time.
* *reused*: requests on a connection that had carried one before, of all that were delivered.

perdure repeats no POST, and sends one on an idle connection only where connections of that origin were seen
to live longer; close to the limit it dials. In the two races in which the server does not keep to what it
said or did before, it may lose one POST for each origin, and says with the error whether the server can have
read it. A machine that does not keep time is no better: a server that stands still ends connections late, and
a client that does so sends late what it decided in time. A process of perdure's races stood still for up to
{still:.0f} ms while this was measured; where that is more than {allowed:.0f} ms, one POST for each origin is
allowed for, too.

Measured on {when}, {machine}:

{versions}

{tables}

## How it was done

    python -m bench.race                                     all of it
    python -m bench.race --only perdure --variant fin --requests 320
    python -m bench.race --write                             write this page

The exit status is 1 where perdure lost what it must not lose. Peers are installed into virtual environments
of their own below `out/`, at the versions of [bench/clients](../bench/clients/requirements.txt); niquests has
one to itself, since what it installs takes the place of urllib3. A shorter run, of perdure alone, is a test:
[tests/bench/test_race.py](../tests/bench/test_race.py).
"""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def failed(result: Result) -> str:
    """The number, and what it was: "0" or "12: ReadError 10, ConnectError 2"."""
    if not result.failed:
        return "0"
    kinds = sorted(result.failed.items(), key=lambda kind: -kind[1])
    return f"{result.failures}: " + ", ".join(f"{name} {count}" for name, count in kinds)


def row(result: Result) -> list[str]:
    counts = [str(result.repeated), str(result.twice), f"{result.reuse:.0%}", str(result.dials)]
    return [result.subject, result.method, failed(result), *counts]


def tables(results: Sequence[Result]) -> str:
    """A table for each race that was run."""
    parts = []
    for variant in VARIANTS:
        of_it = [result for result in results if result.variant == variant.name]
        if of_it:
            parts.append(f"## The server {variant.sentence}\n\n{table(HEAD, map(row, of_it))}")
    return "\n\n".join(parts)


def stood_still(results: Sequence[Result]) -> float:
    """The longest time for which a process of perdure's races stood still, in seconds."""
    ours = {one.name for one in SUBJECTS if one.ours}
    return max(result.stood_still for result in results if result.subject in ours)


def write(results: Sequence[Result]) -> None:
    """Write the page, which has no other source than these results."""
    PAGE.write_text(
        TEMPLATE.format(
            limit=LIMIT_SECONDS,
            delay=DELAY_SECONDS * 1000,
            lanes=LANES,
            lowest=LIMIT_SECONDS - SPREAD_SECONDS,
            highest=LIMIT_SECONDS + SPREAD_SECONDS,
            asked=results[0].asked,
            when=date.today().isoformat(),
            machine=machine(),
            versions="\n".join(f"* {one.name}: {versions(one)}" for one in SUBJECTS),
            still=1000 * stood_still(results),
            allowed=1000 * STANDSTILL_SECONDS,
            tables=tables(results),
        ),
        encoding="utf-8",
    )
