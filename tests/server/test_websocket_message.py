"""Putting a message together from parts of any number and size."""

from __future__ import annotations

import pytest
from wsproto.events import BytesMessage, TextMessage

from perdure.server.websocket_message import Assembly, MessageTooBig

LARGEST = 30000


def test_parts_become_one_message_and_the_next_one_begins_anew() -> None:
    assembly = Assembly(LARGEST)
    for _ in range(2):
        assert assembly.add(TextMessage("a\r\n", message_finished=False)) is None
        assert assembly.add(TextMessage("", message_finished=False)) is None
        assert assembly.add(TextMessage("€")) == {"type": "websocket.receive", "text": "a\r\n€"}
        assert assembly.add(BytesMessage(b"a", message_finished=False)) is None
        assert assembly.add(BytesMessage(b"")) == {"type": "websocket.receive", "bytes": b"a"}


@pytest.mark.parametrize(("part", "key"), [(TextMessage(""), "text"), (BytesMessage(b""), "bytes")])
def test_an_empty_message_is_a_message_of_its_kind(part: TextMessage | BytesMessage, key: str) -> None:
    empty = type(part.data)()
    assert Assembly(LARGEST).add(part) == {"type": "websocket.receive", key: empty}


def test_octets_are_counted_and_not_characters() -> None:
    assembly = Assembly(LARGEST)
    assert assembly.add(TextMessage("€" * (LARGEST // 3), message_finished=False)) is None
    with pytest.raises(MessageTooBig, match=f"at most {LARGEST} allowed"):
        assembly.add(TextMessage("€"))
    assert assembly.add(TextMessage("next")) == {"type": "websocket.receive", "text": "next"}


def test_the_largest_message_is_taken() -> None:
    message = Assembly(LARGEST).add(BytesMessage(bytes(LARGEST)))
    assert message is not None
    assert len(message["bytes"]) == LARGEST
