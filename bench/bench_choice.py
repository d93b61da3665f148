"""What does it cost a gateway to decide whom to ask, for each request?

The rules of `intermediary/routes` and `balance` alone, on requests that are parsed already, in CPU
nanoseconds of a request; the least of the rounds is printed. A whole request through the gateway takes
tens of microseconds (`bench_gateway.py`).

    scripts/bench choice
    python bench/bench_choice.py --rounds 50
"""

from __future__ import annotations

import argparse
import time
from typing import Any, Final

from perdure.core import Request, make_line
from perdure.intermediary.arrangement import arrange
from perdure.intermediary.client_hop import ClientHop
from perdure.intermediary.origin_settings import OriginSettings
from perdure.intermediary.origins import Destinations
from perdure.intermediary.route_settings import Defaults, plan_routes
from perdure.intermediary.settings import GatewaySettings
from perdure.wire.memory import MemoryNetwork

REQUESTS: Final = 10000
HOP: Final = ClientHop(b"192.0.2.1", b"http")
ORIGINS: Final = [f"http://192.0.2.{number}:9000" for number in range(1, 5)]


def destinations(routes: list[dict[str, Any]], to: list[str], **others: Any) -> Destinations:
    """Whom to ask, as a gateway with these routes decides it."""
    plans = plan_routes(routes, to, Defaults(GatewaySettings(), OriginSettings(), others))
    return arrange(plans, MemoryNetwork(), b"").destinations


def many_routes(count: int) -> list[dict[str, Any]]:
    """Routes of one host, by path."""
    return [{"host": "example.org", "path": f"/service-{n}", "to": ORIGINS[:1]} for n in range(count)]


CASES: Final[dict[str, tuple[Destinations, bytes]]] = {
    "one route, one origin": (destinations([], ORIGINS[:1]), b"/item/1"),
    "one route, two origins, least outstanding": (destinations([], ORIGINS[:2]), b"/item/1"),
    "one route, four origins, least outstanding": (destinations([], ORIGINS), b"/item/1"),
    "one route, four origins, round robin": (destinations([], ORIGINS, balance="round-robin"), b"/item/1"),
    "one route, four origins, hash of the path": (
        destinations([], ORIGINS, balance="hash", hash_on="path"),
        b"/item/1",
    ),
    "ten routes by path, the first": (destinations(many_routes(10), ORIGINS[:1]), b"/service-0/item"),
    "ten routes by path, none of them": (destinations(many_routes(10), ORIGINS[:1]), b"/item/1"),
    "a hundred routes by path, none of them": (destinations(many_routes(100), ORIGINS[:1]), b"/item/1"),
    "ten routes by path, a dot to look at": (destinations(many_routes(10), ORIGINS[:1]), b"/service-0/.x"),
}


def cost(whom: Destinations, target: bytes) -> float:
    """CPU seconds of one choice."""
    request = Request(b"GET", target, [make_line(b"Host", b"example.org")])
    choose = whom.choose
    began = time.process_time()
    for _ in range(REQUESTS):
        choose(request, HOP)
    return (time.process_time() - began) / REQUESTS


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    for name, (whom, target) in CASES.items():
        least = min(cost(whom, target) for _ in range(rounds))
        print(f"{least * 1e9:7.0f} ns  {name}")


if __name__ == "__main__":
    main()
