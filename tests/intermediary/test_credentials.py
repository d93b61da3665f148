"""Basic credentials: verdicts that are found once."""

from __future__ import annotations

import asyncio
from base64 import b64encode

import pytest

from perdure.intermediary import credentials as module
from perdure.intermediary.credentials import Credentials, parse_basic
from perdure.intermediary.passwords import hash_password, read_users
from perdure.wire.network import run

CHEAP = hash_password("wonderland", cost=4)


def basic(pair: str) -> bytes:
    return b"Basic " + b64encode(pair.encode())


ALICE = basic("alice:wonderland")


def alice() -> Credentials:
    return Credentials(read_users([f"alice:{CHEAP}"]))


@pytest.mark.parametrize(
    ("value", "pair"),
    [
        (ALICE, (b"alice", b"wonderland")),
        (ALICE.replace(b"Basic", b"bAsIc"), (b"alice", b"wonderland")),
        (basic("alice:with:colon"), (b"alice", b"with:colon")),
        (b"Basic " + b64encode(b"alice"), None),
        (b"Basic !!!", None),
        (b"Bearer abc", None),
        (b"", None),
    ],
)
def test_basic_is_name_and_password_in_base64(value: bytes, pair: tuple[bytes, bytes] | None) -> None:
    assert parse_basic(value) == pair


def test_a_verdict_is_found_once_and_remembered() -> None:
    async def scene() -> None:
        mine = alice()
        for value, right in (ALICE, True), (basic("alice:x"), False), (basic("bob:wonderland"), False):
            assert mine.known(value) is None
            first, second = mine.check(value), mine.check(value)
            assert first is second
            assert first is not None
            assert await first is right
            assert mine.known(value) is right
        assert mine.known(b"Bearer abc") is False  # without any check
        mine.close()

    run(scene())


def test_so_many_are_checked_at_once_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 2)

    async def scene() -> None:
        mine = alice()
        checks = [mine.check(basic(f"alice:{number}")) for number in range(3)]
        assert checks[2] is None
        assert await asyncio.gather(*[check for check in checks if check]) == [False, False]
        assert await (mine.check(ALICE) or asyncio.sleep(0, False))
        mine.close()

    run(scene())


def test_guessing_drives_nobody_out_who_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 2)

    async def scene() -> None:
        mine = alice()
        for value in ALICE, *[basic(f"alice:{number}") for number in range(4)]:
            await (mine.check(value) or asyncio.sleep(0))
        assert mine.known(ALICE)
        assert mine.known(basic("alice:0")) is None
        assert mine.known(basic("alice:3")) is False
        mine.close()

    run(scene())
