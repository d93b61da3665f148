"""What the ledger is made of."""

from __future__ import annotations

import pytest

from perdure.core.pool import Close, Dial, Entry, Need, PoolSettings, Ticket
from perdure.core.reason import Reason


@pytest.mark.parametrize(("per_origin", "total"), [(0, 100), (8, 0)])
def test_caps_below_one_are_refused(per_origin: int, total: int) -> None:
    with pytest.raises(ValueError, match="at least 1 expected"):
        PoolSettings(max_per_origin=per_origin, max_total=total)


def test_spread_order_needs_a_greatest_age() -> None:
    with pytest.raises(ValueError, match="without max_age"):
        PoolSettings(order="spread", max_age=None)
    assert PoolSettings(order="spread").order == "spread"
    assert PoolSettings(max_age=None).order == "lifo"


def test_they_say_what_they_are_in_a_story() -> None:
    ticket = Ticket(7, "a", Need.ANY)
    entry = Entry(3, "a", object(), 0.0)
    assert repr(Dial(ticket)) == "Dial(<Ticket 7 waiting 'a'>)"
    assert repr(Close(entry, Reason.MAX_AGE)) == "Close(<Entry 3 leased 'a' uses=0>, MAX_AGE)"
