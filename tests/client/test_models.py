"""What a caller gets."""

from __future__ import annotations

import pytest

import perdure
from perdure.client.headers import Headers
from perdure.client.models import ConnectionUse, Response
from perdure.core import Reason, make_lines
from perdure.core import Response as Head
from perdure.core.pool import Entry

LINES = make_lines([(b"Set-Cookie", b"a=1"), (b"Vary", b"a"), (b"set-cookie", b"b=2"), (b"X", b"\xe9")])


def response(*pairs: tuple[bytes, bytes], content: bytes = b"", status: int = 200) -> Response:
    entry: Entry[None] = Entry(7, "origin", None, 10.0)
    made = Response("http://a.test/", Head(status, make_lines(pairs)), ConnectionUse(entry, 12.5), ())
    made.complete(content, (), 0.25)
    return made


def test_headers_are_a_case_insensitive_mapping_that_forgets_no_line() -> None:
    headers = Headers(LINES)
    assert headers["SET-COOKIE"] == "a=1, b=2"
    assert headers.get_list("Set-Cookie") == ["a=1", "b=2"]
    assert headers.multi_items() == [("set-cookie", "a=1"), ("vary", "a"), ("set-cookie", "b=2"), ("x", "é")]
    assert "vary" in headers
    assert headers.get("absent") is None
    assert headers.get_list("absent") == []
    assert 1 not in headers  # type: ignore[comparison-overlap]  # whatever is asked
    assert dict(headers) == {"set-cookie": "a=1, b=2", "vary": "a", "x": "é"}
    assert len(headers) == 3


@pytest.mark.parametrize(
    ("media_type", "content", "text"),
    [
        (b"text/plain", "é".encode(), "é"),
        (b'text/plain; charset="ISO-8859-1"', b"\xe9", "é"),
        (b"text/plain; charset=nobody-knows", "é".encode(), "é"),
        (b"text/plain", b"\xff", "\ufffd"),
    ],
)
def test_text_follows_the_charset(media_type: bytes, content: bytes, text: str) -> None:
    assert response((b"Content-Type", media_type), content=content).text == text


def test_a_response_tells_of_its_exchange() -> None:
    made = response(content=b'{"a": [1]}', status=404)
    assert made.json() == {"a": [1]}
    assert (made.reason_phrase, made.is_success, made.elapsed) == ("Not Found", False, 0.25)
    assert (made.connection.id, made.connection.age_seconds) == (7, 2.5)
    assert repr(made) == "<Response 404 Not Found>"
    made.connection.ends = Reason.HTTP_10
    assert "ends: HTTP/1.0 without" in repr(made.connection)


def test_what_is_not_gzip_is_an_error_where_it_is_read() -> None:
    made = response((b"Content-Encoding", b"gzip"), content=b"plain")
    assert made.raw_content == b"plain"
    with pytest.raises(perdure.DecodingError):
        _ = made.content


def test_an_error_is_raised_where_it_is_asked_for() -> None:
    with pytest.raises(perdure.StatusError, match="503 Service Unavailable: http") as caught:
        response(status=503).raise_for_status()
    assert caught.value.status == 503
    fine = response(status=304)
    assert fine.raise_for_status() is fine
    assert (fine.ok, response(status=400).ok, response(status=302).is_redirect) == (True, False, False)


def test_json_may_be_read_as_a_type() -> None:
    made = response(content=b'\xef\xbb\xbf{"number": 7}')
    assert made.json(type=dict[str, int]) == {"number": 7}
    with pytest.raises(ValueError, match="Expected `str`"):
        made.json(type=dict[str, str])


def test_a_response_without_a_request_says_so() -> None:
    with pytest.raises(RuntimeError, match="without a request"):
        _ = response().request
    assert response().next_request is None
    assert response((b"Link", b"</2>; rel=next")).links["next"]["url"] == "/2"
