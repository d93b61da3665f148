"""The scope of a request, and the requests that no application sees."""

from __future__ import annotations

import pytest

from perdure.server.asgi import Receive, Scope, Send, split_target
from perdure.wire.network import Network
from tests.server.stand import GET, Heard, Stand, answer_from, hello, serving
from tests.wire.conftest import Play


async def scope_of(stand: Stand, application: Heard, request: bytes) -> Scope:
    """The scope that a request leads to."""
    await stand.ask(request)
    return application.scopes[-1]


def test_the_scope_says_what_the_specification_asks_for(play: Play) -> None:
    async def scene(network: Network) -> None:
        application = Heard(hello)
        async with serving(network, application) as stand:
            request = (
                b"GET /a%20%C3%A9/b%2Fc?x=%20&y HTTP/1.1\r\nHost: Example:80\r\nX-A: 1\r\nx-a:\t 2 \r\n\r\n"
            )
            scope = await scope_of(stand, application, request)
            assert scope == {
                "type": "http",
                "asgi": {"version": "3.0", "spec_version": "2.5"},
                "http_version": "1.1",
                "method": "GET",
                "scheme": "http",
                "path": "/a é/b/c",
                "raw_path": b"/a%20%C3%A9/b%2Fc",
                "query_string": b"x=%20&y",
                "root_path": "",
                "headers": [(b"host", b"Example:80"), (b"x-a", b"1"), (b"x-a", b"2")],
                "client": stand.peers[0].own_address,
                "server": stand.peers[0].peer_address,
                "extensions": {
                    "http.response.trailers": {},
                    "http.response.early_hint": {},
                    "http.response.pathsend": {},
                },
            }

    play(scene)


@pytest.mark.row("R13", "R1")
@pytest.mark.parametrize(
    ("start", "key", "value"),
    [
        (b"GET / HTTP/1.0", "http_version", "1.0"),
        (b"GET / HTTP/1.7", "http_version", "1.1"),
        (b"BREW / HTTP/1.1", "method", "BREW"),
        (b"get / HTTP/1.1", "method", "get"),
        (b"OPTIONS * HTTP/1.1", "path", "*"),
        (b"GET /%ff HTTP/1.1", "path", "/\ufffd"),
        (b"GET //a//../b HTTP/1.1", "path", "//a//../b"),
        (b"GET http://a/p?q HTTP/1.1", "path", "/p"),
        (b"GET http://a?q HTTP/1.1", "raw_path", b"/"),
        (b"GET http://a?q HTTP/1.1", "query_string", b"q"),
    ],
)
def test_request_lines(play: Play, start: bytes, key: str, value: object) -> None:
    async def scene(network: Network) -> None:
        application = Heard(hello)
        async with serving(network, application) as stand:
            assert (await scope_of(stand, application, start + b"\r\nHost: x\r\n\r\n"))[key] == value

    play(scene)


@pytest.mark.row("R20")
@pytest.mark.parametrize(
    "head", [b"HTTP/1.1\r\nHost: b\r\nA: 1", b"HTTP/1.0\r\nA: 1", b"HTTP/1.0\r\nHost: b\r\nA: 1"]
)
def test_the_authority_of_an_absolute_form_target_replaces_host(play: Play, head: bytes) -> None:
    async def scene(network: Network) -> None:
        application = Heard(hello)
        async with serving(network, application) as stand:
            scope = await scope_of(stand, application, b"GET http://a:81/ " + head + b"\r\n\r\n")
            assert scope["headers"] == [(b"host", b"a:81"), (b"a", b"1")]

    play(scene)


@pytest.mark.row("R1")
def test_octets_of_a_field_value_arrive_as_they_were_sent(play: Play) -> None:
    async def scene(network: Network) -> None:
        application = Heard(hello)
        async with serving(network, application) as stand:
            odd = b"\xc0\x8a\xe5\x98\x8a\x85"
            peer, _ = await stand.ask(b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + odd + b"\r\n\r\n")
            assert application.scopes[0]["headers"][1] == (b"x-a", odd)
            peer.send(GET)
            assert (await answer_from(peer)).status == 200

    play(scene)


@pytest.mark.row("R18")
def test_http_10_needs_no_host(play: Play) -> None:
    async def scene(network: Network) -> None:
        application = Heard(hello)
        async with serving(network, application) as stand:
            assert (await scope_of(stand, application, b"GET / HTTP/1.0\r\n\r\n"))["headers"] == []

    play(scene)


@pytest.mark.row("R168", "R155")
def test_a_tunnel_is_refused_and_ends_the_connection(play: Play) -> None:
    async def scene(network: Network) -> None:
        application = Heard(hello)
        async with serving(network, application) as stand:
            peer, answer = await stand.ask(b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n" + GET)
            assert (answer.status, answer.options) == (501, {b"close"})
            assert await peer.at_eof()
            assert application.scopes == []

    play(scene)


@pytest.mark.row("R152")
def test_a_secured_resource_is_not_served_without_tls(play: Play) -> None:
    async def scene(network: Network) -> None:
        application = Heard(hello)
        async with serving(network, application) as stand:
            peer, answer = await stand.ask(b"GET HTTPS://x/ HTTP/1.1\r\nHost: x\r\n\r\n")
            assert answer.status == 421
            peer.send(GET)
            assert (await answer_from(peer)).status == 200
            assert len(application.scopes) == 1

    play(scene)


def test_state_of_the_lifespan_is_copied_for_each_request(play: Play) -> None:
    seen: list[dict[str, object]] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            scope["state"]["shared"] = [1]
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        seen.append(dict(scope["state"]))
        scope["state"]["mine"] = True
        await hello(scope, receive, send)

    async def scene(network: Network) -> None:
        async with serving(network, application) as stand:
            peer, _ = await stand.ask()
            peer.send(GET)
            await answer_from(peer)
            assert seen[0]["shared"] is seen[1]["shared"]
            assert seen == [{"shared": [1]}, {"shared": [1]}]

    play(scene)


def test_targets() -> None:
    assert split_target(b"/a?b?c") == ("/a", b"/a", b"b?c")
    assert split_target(b"*") == ("*", b"*", b"")


def numbered(target: bytes, *fields: bytes) -> bytes:
    return (
        b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n" + b"".join(b"%b\r\n" % one for one in fields) + b"\r\n"
    )


@pytest.mark.parametrize("together", [False, True])
def test_the_headers_are_those_of_the_request_whatever_the_ones_before_said(
    play_in_time: Play, together: bool
) -> None:
    said: list[list[bytes]] = [
        [b"X-Id: 1", b"Accept: a"],
        [b"X-Id: 2", b"Accept: a"],
        [b"X-Id: 3", b"Accept: a"],
        [b"X-Id: 3", b"Accept: a"],
        [b"X-Id: 4", b"Accept: a"],
        [b"X-Id: 4", b"Accept: b"],
        [b"X-Id: 5", b"Accept: b"],
        [b"X-Id: 6"],
        [b"Accept: b", b"X-Id: 7"],
        [b"Accept: b", b"X-Id: 8"],
        [b"Accept: b", b"X-Id: 9"],
    ]
    targets = [b"/1", b"/2?q", b"/3", b"/3", b"/4", b"http://b/5", b"/6", b"/7", b"/8", b"/9", b"/10"]

    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        await hello(scope, receive, send)
        scope["headers"].append((b"x-id", b"mine"))  # after its answer; it is its own list

    async def scene(network: Network) -> None:
        application = Heard(script)
        requests = [numbered(target, *fields) for target, fields in zip(targets, said, strict=True)]
        async with serving(network, application) as stand:
            peer = await stand.dial()
            for octets in [b"".join(requests)] if together else requests:
                peer.send(octets)
                for _ in range(octets.count(b"GET ")):
                    await answer_from(peer)
        for scope, target, fields in zip(application.scopes, targets, said, strict=True):
            host = (b"host", b"b" if target.startswith(b"http") else b"a")
            pairs = [tuple(one.lower().split(b": ")) for one in fields]
            assert scope["headers"] == [host, *pairs, (b"x-id", b"mine")]
            assert scope["raw_path"] == (target.removeprefix(b"http://b").partition(b"?")[0])

    play_in_time(scene)
