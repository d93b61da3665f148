"""Which of several origins that serve the same is asked next."""

from __future__ import annotations

import logging
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.core import Request
from perdure.intermediary.balance import BalanceSettings, Group, hash_key, make_group
from perdure.intermediary.client_hop import ClientHop
from perdure.intermediary.health import Condition
from perdure.intermediary.origins import OriginServer
from tests.intermediary.heads import HOP, origin, request

ANY = request(b"GET / HTTP/1.1\r\nHost: a\r\n")


def group(names: str, balance: str = "least-outstanding", **settings: object) -> Group:
    """Origins of these names, such as "a b=3"."""
    origins = []
    for name in names.split():
        host, _, weight = name.partition("=")
        one = origin(f"http://{host}")
        one.weight = int(weight or 1)
        origins.append(one)
    return make_group(origins, BalanceSettings(balance=balance, **settings))  # type: ignore[arg-type]  # checked


def chosen(among: Group, times: int) -> str:
    return "".join(among.choose(ANY, HOP).key.host for _ in range(times))


def out(one: OriginServer) -> None:
    one.health.failed(0.0, unreachable=True)
    assert one.health.condition is Condition.RESTING


def test_group_without_origin_is_refused() -> None:
    with pytest.raises(ValueError, match="to: the URL of an origin expected"):
        group("")


def test_equals_take_turns() -> None:
    assert chosen(group("a b c"), 6) == "abcabc"
    assert chosen(group("a b c", "round-robin"), 6) == "abcabc"


def test_turns_go_by_weight_and_never_in_clusters() -> None:
    assert chosen(group("a=5 b c", "round-robin"), 7) == "aabacaa"
    assert Counter(chosen(group("a=3 b"), 8)) == {"a": 6, "b": 2}


def test_origin_with_the_fewest_exchanges_for_its_weight_is_next() -> None:
    among = group("a b=2")
    a, b = among.origins
    a.outstanding, b.outstanding = 2, 3
    assert chosen(among, 3) == "bbb"
    b.outstanding = 5
    assert chosen(among, 3) == "aaa"


def test_sole_origin_is_asked_whatever_its_health() -> None:
    among = group("a")
    out(among.origins[0])
    assert chosen(among, 2) == "aa"


@pytest.mark.parametrize("balance", ["least-outstanding", "round-robin", "hash"])
def test_origin_that_is_out_is_not_asked_until_it_is_back(balance: str) -> None:
    among = group("a b", balance, hash_on="field:X")
    a, b = among.origins
    out(a)
    keys = [request(b"GET / HTTP/1.1\r\nHost: a\r\nX: %d\r\n" % number) for number in range(20)]
    assert {among.choose(key, HOP) for key in keys} == {b}
    assert among.another(b, [b]) is None
    a.health.deadline_reached(1.0)
    assert {among.choose(key, HOP) for key in keys} == {a, b}


@pytest.mark.parametrize("balance", ["least-outstanding", "round-robin", "hash"])
def test_where_all_are_out_all_are_asked(balance: str) -> None:
    among = group("a b", balance, hash_on="field:X")
    for one in among.origins:
        out(one)
    keys = [request(b"GET / HTTP/1.1\r\nHost: a\r\nX: %d\r\n" % number) for number in range(20)]
    assert {among.choose(key, HOP) for key in keys} == set(among.origins)


def test_it_is_told_once_where_an_origin_is(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "perdure.gateway")
    out(group("sole").origins[0])
    among = group("a b")
    a, b = among.origins
    out(a)
    b.health.share = 0.5
    among.look_again()
    a.health.deadline_reached(1.0)
    assert caplog.messages == ["http://a:80: is left alone for a while", "http://a:80: is asked again"]


def test_another_origin_is_one_that_was_not_tried() -> None:
    among = group("a b c")
    a, b, c = among.origins
    b.outstanding = 1
    assert among.another(a, [a]) is c
    assert among.another(a, [a, c]) is b
    assert among.another(a, [a, b, c]) is None


def test_who_comes_back_slowly_gets_a_part_of_its_turns() -> None:
    among = group("a b", "round-robin")
    among.origins[0].health.share = 0.25
    among.look_again()
    assert Counter(chosen(among, 10)) == {"a": 2, "b": 8}


# By hash.


def by_path(names: str, **settings: object) -> Group:
    return group(names, "hash", hash_on="path", **settings)


def owners(among: Group, keys: int = 3000) -> dict[int, str]:
    return {number: among.choose(Request(b"GET", b"/%d?q" % number), HOP).key.host for number in range(keys)}


def test_shares_by_hash_are_near_their_weights() -> None:
    counts = Counter(owners(by_path("a b c=2")).values())
    assert counts["a"] == pytest.approx(750, rel=0.25)
    assert counts["b"] == pytest.approx(750, rel=0.25)
    assert counts["c"] == pytest.approx(1500, rel=0.25)


def test_when_an_origin_leaves_only_what_went_to_it_goes_elsewhere() -> None:
    among = by_path("a b c")
    before = owners(among)
    out(among.origins[1])
    after = owners(among)
    assert {before[key] for key in before if before[key] != after[key]} == {"b"}
    assert set(after.values()) == {"a", "c"}
    among.origins[1].health.deadline_reached(9.0)
    assert owners(among) == before


def test_order_of_origins_makes_no_difference_to_the_hash() -> None:
    assert owners(by_path("a b c")) == owners(by_path("c a b"))


def test_fourth_origin_takes_a_quarter_of_the_keys_and_moves_no_other() -> None:
    before, after = owners(by_path("a b c")), owners(by_path("a b c d"))
    moved = [key for key in before if before[key] != after[key]]
    assert {after[key] for key in moved} == {"d"}
    assert len(moved) == pytest.approx(750, rel=0.25)


def test_without_a_bound_a_key_stays_however_busy_its_origin_is() -> None:
    among = by_path("a b")
    first = among.choose(ANY, HOP)
    first.outstanding = 1000
    assert among.choose(ANY, HOP) is first


def test_beyond_the_bound_a_key_goes_to_the_next_one() -> None:
    among = by_path("a b", hash_bound=1.5)
    first = among.choose(ANY, HOP)
    (second,) = [one for one in among.origins if one is not first]
    first.outstanding, second.outstanding = 15, 10  # (25 + 1) / 2 × 1.5 = 19.5
    assert among.choose(ANY, HOP) is first
    first.outstanding, second.outstanding = 20, 5
    assert among.choose(ANY, HOP) is second


@given(st.lists(st.integers(0, 50), min_size=3, max_size=3), st.floats(1, 3))
def test_somebody_is_always_chosen_and_never_beyond_the_bound(loads: list[int], bound: float) -> None:
    among = by_path("a b c", hash_bound=bound)
    for one, load in zip(among.origins, loads, strict=True):
        one.outstanding = load
    for number in range(5):
        taken = among.choose(Request(b"GET", b"/%d" % number), HOP)
        assert taken.outstanding < bound * (sum(loads) + 1) / 3


def test_who_comes_back_slowly_gets_a_part_of_its_keys_and_the_same_ones() -> None:
    among = by_path("a b")
    before = owners(among)
    among.origins[0].health.share = 0.25
    among.look_again()
    some = owners(among)
    assert some == owners(among)
    assert {before[key] for key in before if before[key] != some[key]} == {"a"}
    assert Counter(some.values())["a"] == pytest.approx(Counter(before.values())["a"] / 4, rel=0.3)


KEYS = [
    ("address", b"192.0.2.1"),
    ("path", b"/a//b"),
    ("field:x-user", b"u1, u2"),
    ("field:X-None", b""),
    ("cookie:session", b"s=1"),
    ("cookie:Session", b""),
]


@pytest.mark.parametrize(("text", "expected"), KEYS)
def test_what_is_hashed(text: str, expected: bytes) -> None:
    head = (
        b"GET http://a/a//b?c HTTP/1.1\r\nHost: a\r\nX-User: u1\r\nX-USER: u2\r\n"
        b"Cookie: x=session; session=s=1\r\n"
    )
    assert hash_key(text)(request(head), HOP) == expected


@pytest.mark.parametrize("text", ["", "adress", "field:", "field:a b", "cookie:", "cookie:a;b", "header:x"])
def test_what_cannot_be_hashed_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^hash_on: "):
        BalanceSettings(hash_on=text)


def test_without_a_key_the_least_busy_is_asked() -> None:
    among = group("a b", "hash", hash_on="cookie:s")
    a, b = among.origins
    a.outstanding = 1
    assert among.choose(ANY, HOP) is b
    local = ClientHop(b"", b"http")
    assert group("a b", "hash").choose(ANY, local).key.host == "a"
