"""Flights: how much a sender let go before it could hear of any of it.

    server  ─10─┐      ┌─20─┐      ┌─40─┐
                 ╲    ╱      ╲    ╱      ╲        each flight waits for the first acknowledgement of the last
    client        ╲──╱        ╲──╱        ╲

Seconds tell of slow start only on a quiet machine; packets in flights do on any, since it is the kernels that
acknowledge, however late a program has its turn. RFC 5681 §3.1.
"""

from __future__ import annotations

import math

from perdure.lab.lanes import Lane, Side


def flights(lane: Lane, sender: Side, since: float, until: float, back_seconds: float) -> list[int]:
    """Count packets with content, flight by flight.

    Args:
        since, until: seconds of the act; packets that were sent then.
        back_seconds: how long an acknowledgement takes at the least.

    Returns:
        A number for each flight; [] where packets are not known.
    """
    counts: list[int] = []
    heard_at = -math.inf
    for each in lane.crossings:
        if each.sender != sender or not each.octets or each.again or not since <= each.sent_at < until:
            continue
        if each.sent_at >= heard_at:
            counts.append(0)
            heard_at = (each.sent_at if each.arrived_at is None else each.arrived_at) + back_seconds
        counts[-1] += each.packets
    return counts if any(counts) else []
