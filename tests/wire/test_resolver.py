"""From names to addresses, by the system's resolver."""

from __future__ import annotations

import asyncio

import pytest

from perdure.wire.errors import ConnectFailed
from perdure.wire.resolver import look_up, resolve, resolve_on_loop


def test_a_name_resolves_to_the_addresses_that_its_peers_are_known_by() -> None:
    found = resolve("localhost", 8000)
    assert ("127.0.0.1", 8000) in found or ("::1", 8000) in found
    assert asyncio.run(resolve_on_loop("localhost", 8000)) == found


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_literal_address_resolves_to_nothing_that_could_change(host: str) -> None:
    assert resolve(host, 80) == asyncio.run(resolve_on_loop(host, 80)) == frozenset()
    assert [target.address[0] for target in look_up(host, 80)] == [host]


def test_a_name_that_is_none_is_an_error_of_the_wire() -> None:
    with pytest.raises(ConnectFailed):
        resolve("a" * 64 + ".invalid", 80)
    with pytest.raises(ConnectFailed):
        asyncio.run(resolve_on_loop("a" * 64 + ".invalid", 80))
