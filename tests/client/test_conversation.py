"""What happens around exchanges, without any: what a conversation asks for, and makes of answers."""

from __future__ import annotations

from typing import Any, cast

import pytest

import perdure
from perdure.client.conversation import ASK, CALL, DROP, READ
from perdure.client.habits import Habits, RequestDefaults
from perdure.client.models import ConnectionUse, Response
from perdure.client.requests import Asked, Options
from perdure.client.settings import ClientSettings
from perdure.core import Response as Head
from perdure.core import make_lines
from perdure.core.pool import Entry

HOME = "http://a.test/"


def response(asked: Asked, status: int, *pairs: tuple[str, str]) -> Response:
    lines = make_lines([(name.encode(), value.encode()) for name, value in pairs])
    made = Response(asked.location.url, Head(status, lines), ConnectionUse(Entry(1, "", None, 0.0), 0.0), ())
    made.asked = asked
    return made


Answer = tuple[int, *tuple[tuple[str, str], ...]]


def talk(
    habits: Habits, answers: list[Answer], method: str = "GET", url: str = HOME, **options: Any
) -> tuple[perdure.Response, list[Asked], list[int]]:
    """Answer each request in turn: (the response for the caller, what was asked, the kinds of step)."""
    steps = habits.begin(method, url, cast("Options", options)).steps()
    asked: list[Asked] = []
    kinds: list[int] = []
    value: Any = None
    try:
        while True:
            kind, what = steps.send(value)
            kinds.append(kind)
            value = None
            if kind == ASK:
                asked.append(what)
                value = response(what, *answers[len(asked) - 1])
            elif kind == CALL:
                value = what()
    except StopIteration as end:
        return cast("perdure.Response", end.value), asked, kinds


def lines(asked: Asked) -> dict[str, str]:
    return {line.name.decode(): line.value.decode() for line in asked.request.fields}


def habits(**options: Any) -> Habits:
    defaults = RequestDefaults(authentication=options.pop("authentication", None))
    return Habits(ClientSettings(), defaults, **options)


def location(url: str) -> tuple[str, str]:
    return ("Location", url)


def test_a_redirect_is_a_response_like_any_other_unless_it_is_to_be_followed() -> None:
    answer, asked, kinds = talk(habits(), [(302, location("/next"))])
    assert (answer.status, answer.is_redirect, answer.history, kinds) == (302, True, (), [ASK])
    following = answer.next_request
    assert following is not None
    assert (following.method, following.url) == ("GET", "http://a.test/next")
    assert len(asked) == 1


def test_a_redirect_is_followed_and_its_content_dropped_first() -> None:
    followed = [(301, location("two#there")), (302, location("//b.test/three")), (200,)]
    answer, asked, kinds = talk(habits(follow_redirects=True), cast("list[Answer]", followed))
    assert [each.location.url for each in asked] == [
        HOME,
        "http://a.test/two#there",
        "http://b.test/three#there",
    ]
    assert answer.url == "http://b.test/three#there"
    assert [each.status for each in answer.history] == [301, 302]
    assert kinds == [ASK, DROP, ASK, DROP, ASK]
    assert lines(asked[2])["Host"] == "b.test"


def test_secrets_stay_with_the_origin_they_are_for_even_when_a_redirect_comes_back() -> None:
    headers = {"Authorization": "me", "Cookie": "a=b", "Proxy-Authorization": "me", "X-Own": "1"}
    answers = [(302, location("/same")), (302, location("https://a.test/")), (302, location(HOME)), (200,)]
    _, asked, _ = talk(habits(follow_redirects=True), cast("list[Answer]", answers), headers=headers)
    assert all(lines(asked[1])[name] == headers[name] for name in headers)
    for later in asked[2:]:
        assert lines(later).keys() & headers.keys() == {"X-Own"}


def test_what_a_client_knows_of_itself_stays_behind_too() -> None:
    known = habits(follow_redirects=True, cookies={"mine": "1"}, authentication=("me", "secret"))
    answers = [(302, location("http://b.test/")), (200,)]
    _, asked, _ = talk(known, cast("list[Answer]", answers), cookies={"own": "2"})
    assert lines(asked[0])["Cookie"] == "mine=1; own=2"
    assert lines(asked[0])["Authorization"] == "Basic bWU6c2VjcmV0"
    assert not {"Cookie", "Authorization"} & lines(asked[1]).keys()


def test_redirects_end() -> None:
    with pytest.raises(perdure.TooManyRedirects, match="more than 2") as caught:
        talk(habits(follow_redirects=True, max_redirects=2), [(302, location("/"))] * 4)
    assert [each.status for each in caught.value.response.history] == [302, 302]


@pytest.mark.parametrize("reference", ["ftp://a.test/", "http://[", "http://a b/", "javascript:1"])
def test_a_redirect_that_leads_nowhere_is_an_error_that_has_the_response(reference: str) -> None:
    with pytest.raises(perdure.RedirectError, match="expected an http") as caught:
        talk(habits(follow_redirects=True), [(302, location(reference))])
    assert caught.value.response.status == 302


def test_cookies_come_back_to_who_set_them() -> None:
    known = habits(follow_redirects=True)
    answers = [
        (302, location("/in"), ("Set-Cookie", "id=7; Path=/in"), ("Set-Cookie", "all=1; Path=/")),
        (200,),
    ]
    answer, asked, _ = talk(known, cast("list[Answer]", answers))
    assert "Cookie" not in lines(asked[0])
    assert lines(asked[1])["Cookie"] == "id=7; all=1"
    assert dict(answer.history[0].cookies) == {"id": "7", "all": "1"}
    assert not known.plain


def test_a_callers_own_cookie_header_is_left_alone() -> None:
    _, asked, _ = talk(habits(cookies={"a": "1"}), [(200,)], headers={"cookie": "own"})
    assert [line.octets for line in asked[0].request.fields][-1] == b"cookie: own\r\n"


def test_hooks_see_every_request_and_response_in_order() -> None:
    seen: list[str] = []

    def change(request: perdure.Request) -> None:
        seen.append(f"{request.method} {request.url}")
        request.headers["X-Hook"] = str(len(seen))

    hooks = {"request": [change], "response": [lambda each: seen.append(str(each.status))]}
    answers = [(303, location("/b")), (200,)]
    known = habits(event_hooks=hooks, follow_redirects=True)
    _, asked, kinds = talk(known, cast("list[Answer]", answers), "POST", content=b"x")
    assert seen == ["POST http://a.test/", "303", "GET http://a.test/b", "200"]
    assert [lines(each)["X-Hook"] for each in asked] == ["1", "3"]
    assert kinds == [CALL, ASK, CALL, DROP, CALL, ASK, CALL]


class Stubborn:
    """An authentication that asks again until it is let in, and reads why it was not."""

    reads_content = True

    def flow(self, request: perdure.Request) -> Any:
        answer = yield request
        while answer.status == 401:
            request.headers["X-Try"] = str(int(request.headers.get("X-Try", "0")) + 1)
            answer = yield request


def test_an_authentication_of_ones_own_asks_again_as_often_as_it_likes() -> None:
    answer, asked, kinds = talk(habits(authentication=Stubborn()), [(401,), (401,), (200,)])
    assert [lines(each).get("X-Try") for each in asked] == [None, "1", "2"]
    assert kinds == [ASK, READ, DROP, ASK, READ, DROP, ASK, READ]
    assert [each.status for each in answer.history] == [401, 401]


def test_content_that_cannot_be_read_again_is_not_sent_a_second_time() -> None:
    for known, first in (
        (habits(authentication=Stubborn()), (401,)),
        (habits(follow_redirects=True), (307, location("/b"))),
    ):
        with pytest.raises(perdure.ContentNotRepeatable, match="second time"):
            talk(known, [cast("Answer", first), (200,)], "POST", content=iter([b"x"]))


def test_one_request_may_say_otherwise() -> None:
    known = habits(authentication=("me", "secret"), follow_redirects=True)
    answer, asked, _ = talk(known, [(302, location("/b"))], auth=None, follow_redirects=False)
    assert answer.status == 302
    assert "Authorization" not in lines(asked[0])
    _, asked, _ = talk(known, [(200,)], auth=lambda request: request.headers.update({"X-Signed": "yes"}))
    assert lines(asked[0])["X-Signed"] == "yes"
    assert "Authorization" not in lines(asked[0])
