"""The order of those who wait: RFC 9112 §9.4."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from perdure.core.pool_entries import Need, Ticket
from perdure.core.pool_queue import Waiting

OPERATIONS = st.lists(st.tuples(st.integers(1, 12), st.sampled_from(Need), st.booleans()), max_size=40)


@given(OPERATIONS)
def test_tickets_stand_in_the_order_of_their_numbers_whenever_they_came(
    operations: list[tuple[int, Need, bool]],
) -> None:
    waiting = Waiting()
    model: dict[int, Ticket] = {}
    for number, need, leaves in operations:
        if leaves:
            waiting.remove(model.pop(number, Ticket(number, "a", need)))
        elif number not in model:
            model[number] = Ticket(number, "a", need)
            waiting.add(model[number])
    expected = [model[number] for number in sorted(model)]
    assert list(waiting) == expected
    assert len(waiting) == len(expected)
    assert bool(waiting) == bool(expected)
    assert waiting.first() is (expected[0] if expected else None)
    heads = {
        next(ticket for ticket in expected if ticket.need is need) for need in {t.need for t in expected}
    }
    assert set(waiting.heads()) == heads
