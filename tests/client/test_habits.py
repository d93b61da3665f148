"""What a client does around its requests, shown on every stage: with threads and with event loops."""

from __future__ import annotations

import re
from typing import Any

import pytest

import perdure
from perdure.client.habits import Habits, RequestDefaults
from perdure.client.settings import ClientSettings
from perdure.core.reason import Reason
from perdure.wire.scripted import CLIENT_END, Exactly, Script, Until
from tests.client.conftest import BLANK, BlockingStage, LoopStage, Perform, Stage, answer, says

HELLO = answer(b"hello")
NEXT = answer(b"moved", b"Location: /next", status=b"302 Found")


def test_requests_take_the_short_way_until_something_is_wanted_around_them() -> None:
    settings = ClientSettings()
    assert Habits(settings).plain
    assert Habits(settings, RequestDefaults("http://a.test", {"a": 1}, {"b": "1"}, ("a", "b"))).plain
    wishes: list[dict[str, Any]] = [
        {"follow_redirects": True},
        {"cookies": {}},
        {"defaults": RequestDefaults(authentication=perdure.DigestAuth("a", "b"))},
        {"event_hooks": {"request": [print]}},
    ]
    for wanted in wishes:
        assert not Habits(settings, **wanted).plain
    touched = Habits(settings)
    touched.cookies["a"] = "1"
    assert not touched.plain


@pytest.mark.parametrize(
    "options", [{"event_hooks": {"reply": []}}, {"base_url": "a.test"}, {"auth": ("a:b", "c")}]
)
def test_what_a_client_cannot_be_told_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"expected|colon"):
        perdure.Client(**options)


def test_a_redirect_and_what_it_leads_to_share_one_connection(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        response = await stage.ask(follow_redirects=True)
        assert (response.status, response.content, response.connection.uses) == (200, b"hello", 2)
        assert [each.status for each in response.history] == [302]
        assert stage.connections == 1
        assert b"GET /next " in stage.heard()

    perform(scene, says(NEXT, HELLO))


def test_a_redirect_with_much_content_costs_its_connection_and_no_memory(perform: Perform) -> None:
    long = b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 100000000\r\n\r\nx"

    async def scene(stage: Stage) -> None:
        response = await stage.ask(follow_redirects=True)
        assert (response.content, response.connection.id) == (b"hello", 2)
        assert stage.statistics().closes == {Reason.ABANDONED: 1}

    perform(scene, says(long), says(HELLO))


def test_content_goes_along_with_a_307(perform: Perform) -> None:
    def peer() -> Script:
        for octets in (answer(b"", b"Location: /b", status=b"307 Temporary Redirect"), HELLO):
            yield Until(BLANK)
            yield Exactly(4)
            yield octets

    async def scene(stage: Stage) -> None:
        response = await stage.ask("PUT", follow_redirects=True, content=b"four")
        assert response.content == b"hello"
        assert stage.heard().count(b"\r\n\r\nfour") == 2
        assert (response.request.method, response.request.headers["content-length"]) == ("PUT", "4")

    perform(scene, peer)


def test_a_stream_follows_redirects_too(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        async with stage.stream(follow_redirects=True) as streamed:
            assert b"".join([piece async for piece in streamed.pieces()]) == b"hello"
            assert streamed.response.request.url.endswith("/next")

    perform(scene, says(NEXT, HELLO))


def test_cookies_are_kept_from_the_first_response_on(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        first = await stage.ask()
        assert dict(first.cookies) == {"id": "7"}
        await stage.ask(cookies={"more": "8"})
        await stage.ask()
        heads = stage.heard().split(BLANK)
        assert b"Cookie" not in heads[0]
        assert heads[1].endswith(b"\r\nCookie: id=7; more=8")
        assert heads[2].endswith(b"\r\nCookie: id=7")

    perform(scene, says(answer(b"", b"Set-Cookie: id=7; HttpOnly"), HELLO, HELLO))


def test_a_challenge_is_answered_on_the_same_connection(perform: Perform) -> None:
    challenge = answer(b"no", b'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"', status=b"401 X")

    async def scene(stage: Stage) -> None:
        response = await stage.ask(auth=perdure.DigestAuth("me", "secret"))
        assert (response.status, stage.connections) == (200, 1)
        assert b'\r\nAuthorization: Digest username="me", realm="r", nonce="n", uri="/"' in stage.heard()
        assert b"secret" not in stage.heard()

    perform(scene, says(challenge, HELLO))


def client_of(stage: Stage) -> perdure.Client | perdure.AsyncClient:
    assert isinstance(stage, LoopStage | BlockingStage)
    return stage.client


def test_hooks_are_called_and_an_error_in_one_ends_the_exchange(perform: Perform) -> None:
    seen: list[object] = []

    def check(response: perdure.Response) -> None:
        seen.append(response.status)
        response.raise_for_status()

    hooks = {"request": [lambda request: seen.append(request.method)], "response": [check]}

    async def scene(stage: Stage) -> None:
        await stage.ask()
        with pytest.raises(perdure.StatusError, match="404 Not Found: http") as caught:
            await stage.ask()
        assert (caught.value.status, caught.value.response.status) == (404, 404)
        assert seen == ["GET", 200, "GET", 404]
        assert stage.statistics().leased == 0

    perform(scene, says(HELLO, answer(b"", status=b"404 Not Found")), event_hooks=hooks)


def test_hooks_of_an_event_loop_may_wait(perform_on_loop: Perform) -> None:
    async def sign(request: perdure.Request) -> None:
        request.headers["X-Signed"] = "yes"

    async def scene(stage: Stage) -> None:
        await stage.ask()
        assert b"\r\nX-Signed: yes\r\n" in stage.heard()

    perform_on_loop(scene, says(HELLO), event_hooks={"request": [sign]})


def test_a_redirect_that_was_not_followed_can_be_followed_later(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        first = await stage.ask()
        following = first.next_request
        assert following is not None
        sent = client_of(stage).send(following)
        last = sent if isinstance(sent, perdure.Response) else await sent
        assert (last.content, last.connection.id) == (b"hello", 1)

    perform(scene, says(NEXT, HELLO))


def test_what_is_followed_later_says_the_cookies_of_then(perform: Perform) -> None:
    """Those that the redirect set, and those given with the request; none toward another origin."""
    sets = answer(b"", b"Location: /next", b"Set-Cookie: session=new", status=b"302 Found")
    leaves = answer(b"", b"Location: http://localhost:1/", status=b"302 Found")

    async def scene(stage: Stage) -> None:
        client = client_of(stage)
        client.cookies["mine"] = "1"
        for host in ("origin.test", "127.0.0.1"):  # whichever this stage asks
            client.cookies.set("session", "old", domain=host)
        first = await stage.ask(cookies={"own": "2"})
        following = first.next_request
        assert following is not None
        sent = client.send(following)
        last = sent if isinstance(sent, perdure.Response) else await sent
        heads = stage.heard().split(BLANK)
        told = [set(re.findall(rb"\w+=\w+", head.partition(b"\r\nCookie: ")[2])) for head in heads[:2]]
        assert told[0] == {b"mine=1", b"session=old", b"own=2"}
        assert told[1] == {b"mine=1", b"session=new", b"own=2"}
        assert last.next_request is not None
        assert "cookie" not in last.next_request.headers
        assert last.next_request.said.away

    perform(scene, says(sets, leaves))


def test_every_default_is_said_and_may_be_replaced(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        await stage.ask(path="/x?own=0", params={"a": "2"}, headers={"X-A": "2"})
        await stage.ask(auth=None)
        heads = stage.heard().split(BLANK)
        assert heads[0].startswith(b"GET /x?own=0&b=1&a=2 ")
        assert b"\r\nX-A: 2\r\nAuthorization: Basic bWU6c2VjcmV0" in heads[0]
        assert heads[1].startswith(b"GET /?a=1&b=1 ")
        assert b"Authorization" not in heads[1]

    settings = {"params": {"a": "1", "b": "1"}, "headers": {"x-a": "1"}, "auth": ("me", "secret")}
    perform(scene, says(HELLO, HELLO), **settings)


def test_a_failing_exchange_after_a_redirect_leaves_nothing_behind(perform: Perform) -> None:
    def moves_and_goes() -> Script:
        yield Until(BLANK)
        yield answer(b"", b"Location: /next", b"Connection: close", status=b"302 Found")
        yield CLIENT_END

    async def scene(stage: Stage) -> None:
        with pytest.raises(perdure.RemoteProtocolError):
            await stage.ask(follow_redirects=True)
        assert (stage.statistics().leased, stage.statistics().connections) == (0, 0)

    perform(scene, moves_and_goes, says(b"HTTP/1.1 999999\r\n\r\n"))
