"""What happened to the requests of a row, in the words that cells share."""

from __future__ import annotations

from typing import Final

from bench.guards.row import Outcome, Row
from bench.guards.server import Server

AT_ONCE_SECONDS: Final = 3.0
"""Whoever looks at idle connections now and then does so every 5 s or more."""
COUNTS: Final = {2: "sent twice", 3: "sent three times"}


def ending(path: str, method: str, outcome: Outcome) -> str:
    """How a request ended: "own answer", "foreign answer", "413", "error (ReadError)", "hangs"."""
    if "error" in outcome:
        return "hangs" if outcome["hung"] else f"error ({outcome['error']})"
    content, status = outcome["content"], outcome["status"]
    if "evil" in content:
        return "foreign answer"
    if status == 200 and (content == path or (method == "HEAD" and not content)):
        return "own answer"
    return str(status) if status != 200 else f"200 with {outcome['length']} octets"


def phrase(row: Row, number: int, outcomes: list[Outcome], server: Server) -> str:
    """One request: how it ended, on which connection its answer came, and how often it was sent.

    What answered a request that it does not belong to may have come before the request; so the connection is
    told of own answers alone.
    """
    ask = row.asks[number]
    request = f"{ask.sent_as} /{number + 1}"
    words = [ending(f"/{number + 1}", ask.method, outcomes[number])]
    arrivals = server.arrivals(request)
    if words[0] == "own answer" and arrivals:
        words.append("fresh" if server.first_on(request, arrivals[-1]) else "reused")
    if len(arrivals) > 1:
        words.append(COUNTS.get(len(arrivals), "sent often"))
    return ", ".join(words)


def last(row: Row, outcomes: list[Outcome], server: Server) -> str:
    """The last request; of those before it only what went wrong."""
    count = len(outcomes)
    told = [phrase(row, number, outcomes, server) for number in range(count)]
    wrong = [one for one in told[:-1] if not one.startswith("own answer")]
    return "; ".join([*(f"before it: {one}" for one in wrong), told[-1]])


def each(row: Row, outcomes: list[Outcome], server: Server) -> str:
    """Every request; the place of the first is no news."""
    told = [phrase(row, number, outcomes, server) for number in range(len(outcomes))]
    return "; ".join([told[0].removesuffix(", fresh"), *told[1:]])


def flooded(row: Row, outcomes: list[Outcome], server: Server) -> str:
    """Whether the client stopped the flood, and how its requests ended."""
    taken = server.notes[0].flood_taken
    first = ending("/1", row.asks[0].method, outcomes[0])
    if taken:
        return "takes all of it"
    rest = [phrase(row, number, outcomes, server) for number in range(1, len(outcomes))]
    return "; ".join([f"stops it, {first}", *rest])


def noticed(row: Row, outcomes: list[Outcome], server: Server) -> str:
    """How soon the client closed its end."""
    after = server.notes[0].ended_after
    if after is None:
        return "never"
    return "at once" if after < AT_ONCE_SECONDS else f"after {after:.0f} s"
