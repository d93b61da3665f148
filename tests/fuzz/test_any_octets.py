"""Any octets whatever, at a server and at a client: bounded here, without bound in `fuzz_connection`."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.fragments import places, requests, responses, streams
from tests.fuzz.octets import check_client, check_server

EXAMPLES = 250


@pytest.mark.slow
@settings(max_examples=EXAMPLES)
@given(st.one_of(requests, streams), places, st.booleans())
def test_no_octets_surprise_a_server(octets: bytes, cuts: list[int], eof: bool) -> None:
    check_server(octets, cuts, eof)


@settings(max_examples=EXAMPLES)
@given(st.one_of(responses, streams), places, st.booleans())
def test_no_octets_surprise_a_client(octets: bytes, cuts: list[int], eof: bool) -> None:
    check_client(octets, cuts, eof)
