"""A request as a caller sees it."""

from __future__ import annotations

import perdure
from perdure.client.requests import RequestMaker
from perdure.client.settings import ClientSettings

URL = "http://me:secret@a.test/x?q=1#f"


def test_a_request_tells_what_was_sent_and_hides_who_asked() -> None:
    asked = RequestMaker(ClientSettings(), None).make("POST", URL, {"content": b"four"})
    request = asked.as_request()
    assert (request.method, request.url) == ("POST", "http://a.test/x?q=1#f")
    assert list(request.headers) == [
        "host", "user-agent", "accept", "accept-encoding", "authorization", "content-length",
    ]  # fmt: skip
    assert request.headers["content-length"] == "4"
    assert repr(request) == "<Request POST http://a.test/x?q=1#f>"


def test_a_request_can_be_made_by_hand() -> None:
    made = RequestMaker(ClientSettings(), None)
    draft = made.draft("GET", "http://a.test/", {"headers": {"X": "1"}})
    assert isinstance(draft, perdure.Request)
    assert "host" not in draft.headers
    frozen = made.freeze(draft)
    assert frozen.request.fields[0].octets == b"Host: a.test\r\n"
