"""The opening handshake as a function of the request's head."""

from __future__ import annotations

import pytest

from perdure.core import FieldLine, Request, make_lines
from perdure.server.handshake import (
    accept_fields,
    handshake_fault,
    offered_subprotocols,
    wants_websocket,
)
from tests.server.frames import KEY, TOKEN

BASE = [
    (b"Host", b"x"),
    (b"Upgrade", b"websocket"),
    (b"Connection", b"keep-alive, Upgrade"),
    (b"Sec-WebSocket-Key", KEY),
    (b"Sec-WebSocket-Version", b"13"),
]


def said(line: FieldLine) -> bytes:
    return line.name + b": " + line.value


def request(*more: tuple[bytes, bytes], method: bytes = b"GET") -> Request:
    return Request(method, b"/", make_lines([*BASE, *more]))


def test_a_get_with_the_option_and_the_protocol_wants_a_websocket() -> None:
    assert wants_websocket(request())
    assert not wants_websocket(request(method=b"HEAD"))
    assert handshake_fault(request()) is None


@pytest.mark.row("R144")
def test_the_fields_of_the_101_name_the_protocol_and_prove_the_key() -> None:
    lines, deflate = accept_fields(request(), None, 1 << 20)
    assert [said(line) for line in lines] == [
        b"Upgrade: websocket",
        b"Sec-WebSocket-Accept: " + TOKEN,
    ]
    assert deflate is None


def test_the_first_offer_that_can_be_kept_is_accepted() -> None:
    offers = b"x-other, permessage-deflate; server_max_window_bits=8, permessage-deflate, x"
    lines, deflate = accept_fields(request((b"Sec-WebSocket-Extensions", offers)), None, 1 << 20)
    assert deflate is not None
    assert said(lines[-1]) == b"Sec-WebSocket-Extensions: permessage-deflate"


def test_subprotocols_of_several_lines_are_one_list_in_order() -> None:
    asked = request((b"Sec-WebSocket-Protocol", b"one, Two"), (b"Sec-WebSocket-Protocol", b" ,three"))
    assert offered_subprotocols(asked) == ["one", "Two", "three"]
    lines, _ = accept_fields(asked, "Two", 1 << 20)
    assert said(lines[-1]) == b"Sec-WebSocket-Protocol: Two"
    with pytest.raises(ValueError, match="'two' was not offered"):
        accept_fields(asked, "two", 1 << 20)
