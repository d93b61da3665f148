"""Exchanges on one connection: whether it goes on, in what order, and what ends it."""

from __future__ import annotations

import contextvars

import pytest

from perdure.core import Reason, Request
from perdure.server.asgi import AsgiConnection, Receive, Scope, Send
from perdure.wire.network import Network
from tests.server.stand import GET, Gated, answer_from, hello, plain, serving
from tests.wire.conftest import Play


@pytest.mark.row("R91", "R93", "S6")
def test_many_requests_on_one_connection(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello) as stand:
            peer = await stand.dial()
            for number in range(20):
                peer.send(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number)
                answer = await answer_from(peer)
                assert (answer.status, answer.content) == (200, b"GET /%d " % number)
                assert answer.fields[b"keep-alive"] == b"timeout=75, max=%d" % (999 - number)
                assert answer.options == {b"keep-alive"}
            assert stand.server.registry.opened == 1
            assert stand.server.registry.requests == 20

    play(scene)


@pytest.mark.parametrize(
    ("request_head", "persists", "said"),
    [
        pytest.param(b"HTTP/1.1\r\nHost: x\r\nConnection: close", False, {b"close"}, id="close"),
        pytest.param(b"HTTP/1.1\r\nHost: x\r\nConnection: Keep-Alive, ,ClOsE", False, {b"close"}, id="list"),
        pytest.param(
            b"HTTP/1.1\r\nHost: x\r\nConnection: a\r\nConnection: Close", False, {b"close"}, id="lines"
        ),
        pytest.param(
            b"HTTP/1.1\r\nHost: x\r\nConnection: something-close", True, {b"keep-alive"}, id="token"
        ),
        pytest.param(b"HTTP/1.1\r\nHost: x\r\nClose: close", True, {b"keep-alive"}, id="field named close"),
        pytest.param(b"HTTP/1.1\r\nHost: x\r\nKeep-Alive: timeout=1", True, {b"keep-alive"}, id="hint alone"),
        pytest.param(b"HTTP/1.2\r\nHost: x", True, {b"keep-alive"}, id="1.2"),
        pytest.param(b"HTTP/1.0", False, {b"close"}, id="1.0"),
        pytest.param(b"HTTP/1.0\r\nConnection: Keep-Alive", True, {b"keep-alive"}, id="1.0 keep-alive"),
        pytest.param(b"HTTP/1.0\r\nConnection: keep-alive, close", False, {b"close"}, id="1.0 both"),
        pytest.param(b"HTTP/1.0\r\nProxy-Connection: keep-alive", False, {b"close"}, id="1.0 proxy"),
    ],
)
@pytest.mark.row(
    "R13", "R36", "R92", "R93", "R94", "R95", "R115", "R123", "R169", "R173", "R174", "S3", "S12"
)
def test_what_a_request_says_decides_and_the_response_says_the_same(
    play: Play, request_head: bytes, persists: bool, said: set[bytes]
) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello) as stand:
            peer, answer = await stand.ask(b"GET / " + request_head + b"\r\n\r\n")
            assert answer.status == 200
            assert answer.options == said
            assert answer.head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert (b"keep-alive" in answer.fields) == (b"keep-alive" in said)
            if not persists:
                assert await peer.at_eof()
                return
            peer.send(GET)
            assert (await answer_from(peer)).status == 200

    play(scene)


@pytest.mark.row("R96")
def test_the_most_recent_request_decides(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello) as stand:
            peer, _ = await stand.ask()
            peer.send(b"GET / HTTP/1.0\r\n\r\n")
            assert (await answer_from(peer)).options == {b"close"}
            assert await peer.at_eof()

    play(scene)


@pytest.mark.row("S12")
def test_keep_alive_of_http_10_can_be_ignored(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello, http10="ignore") as stand:
            peer, answer = await stand.ask(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert answer.options == {b"close"}
            assert await peer.at_eof()
            assert await stand.closes() == {Reason.HTTP_10_IGNORED: 1}

    play(scene)


@pytest.mark.row("R98")
@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST", b"CONNECT", b"BAD METHOD"])
def test_a_server_that_does_not_persist_says_close_in_every_response(play: Play, method: bytes) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello, idle_timeout=0.0) as stand:
            target = b"x:1" if method == b"CONNECT" else b"/"
            peer, answer = await stand.ask(method + b" " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
            assert answer.options == {b"close"}
            assert b"keep-alive" not in answer.fields
            assert await peer.at_eof()

    play(scene)


@pytest.mark.row("R177")
def test_the_last_of_max_requests_announces_the_close(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello, max_requests=3) as stand:
            peer = await stand.dial()
            peer.send(GET * 5)
            answers = [await answer_from(peer) for _ in range(3)]
            assert [a.fields.get(b"keep-alive") for a in answers] == [
                b"timeout=75, max=2",
                b"timeout=75, max=1",
                None,
            ]
            assert [a.options for a in answers] == [{b"keep-alive"}, {b"keep-alive"}, {b"close"}]
            assert await peer.at_eof(), "nothing is served after the close"
            assert await stand.closes() == {Reason.MAX_REQUESTS: 1}
            assert stand.server.registry.requests == 3

    play(scene)


@pytest.mark.row("R117", "R118")
@pytest.mark.parametrize("option", [b"Connection: close\r\n", b""])
def test_nothing_is_served_after_a_close_whoever_said_it(play: Play, option: bytes) -> None:
    async def scene(network: Network) -> None:
        gated = Gated()
        async with serving(network, gated, max_requests=1000 if option else 1) as stand:
            peer = await stand.dial()
            peer.send(
                b"GET /1 HTTP/1.1\r\nHost: x\r\n" + option + b"\r\n" + b"GET /2 HTTP/1.1\r\nHost: x\r\n\r\n"
            )
            assert (await answer_from(peer)).content == b"/1"
            assert await peer.at_eof()
            assert gated.began == [b"/1"]

    play(scene)


@pytest.mark.row("R103")
def test_pipelined_requests_are_answered_in_order_one_at_a_time(play: Play) -> None:
    async def scene(network: Network) -> None:
        gated = Gated()
        async with serving(network, gated) as stand:
            peer = await stand.dial()
            paths = [b"/1", b"/slow2", b"/3", b"/4"]
            peer.send(b"".join(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path for path in paths))
            other, _ = await stand.ask(b"GET /other HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await answer_from(peer)).content == b"/1", "it does not wait for the slow one"
            await stand.until(lambda: b"/slow2" in gated.began)
            other.send(GET)
            await answer_from(other)
            assert b"/3" not in gated.began, "no overlap on one connection; others are served meanwhile"
            gated.gate.set()
            assert [(await answer_from(peer)).content for _ in range(3)] == paths[1:]

    play(scene)


def test_hundreds_of_pipelined_requests_with_content_in_pieces(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello, max_requests=None) as stand:
            peer = await stand.dial()
            one = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
            two = b"POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            two += b"2\r\nde\r\n0\r\nT: 1\r\n\r\n"
            octets = (one + two) * 150
            for start in range(0, len(octets), 777):
                peer.send(octets[start : start + 777])
            for _ in range(150):
                assert (await answer_from(peer)).content == b"POST /a abc"
                assert (await answer_from(peer)).content == b"POST /b de"

    play(scene)


@pytest.mark.parametrize(
    ("limit", "most", "paused"),
    [("octets", 1000, True), ("depth", 39, True), ("depth", 40, False)],
)
def test_a_pipeline_is_read_no_further_than_its_limit(
    play: Play, limit: str, most: int, paused: bool
) -> None:
    async def scene(network: Network) -> None:
        gated, settings = Gated(), {"pipeline_depth": 1000, f"pipeline_{limit}": most}
        async with serving(network, gated, **settings, max_requests=None) as stand:
            peer = await stand.dial()
            peer.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            await stand.until(lambda: gated.began)
            peer.send(GET * 40)
            (connection,) = stand.server.registry.connections
            await stand.until(lambda: connection.protocol.waiting_octets == 40 * len(GET))
            assert connection.reading_paused is paused
            gated.gate.set()
            for _ in range(41):
                assert (await answer_from(peer)).status == 200
            assert not connection.reading_paused

    play(scene)


@pytest.mark.row("R112")
def test_a_pipeline_limit_below_one_head_still_lets_the_head_in(play_in_time: Play) -> None:
    async def scene(network: Network) -> None:
        gated = Gated()
        async with serving(network, gated, pipeline_octets=10) as stand:
            peer = await stand.dial()
            peer.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            await stand.until(lambda: gated.began)
            peer.send(b"GET /2 HTTP/1.1\r\nHo")
            (connection,) = stand.server.registry.connections
            await stand.until(lambda: connection.reading_paused)
            peer.send(b"st: x\r\n\r\n")
            gated.gate.set()
            assert [(await answer_from(peer)).content for _ in range(2)] == [b"/slow", b"/2"]

    play_in_time(scene)


@pytest.mark.row("R121")
@pytest.mark.parametrize("path", [b"/now", b"/slow"])
def test_a_client_that_ends_its_side_still_gets_its_answers(play: Play, path: bytes) -> None:
    async def scene(network: Network) -> None:
        gated = Gated()
        async with serving(network, gated) as stand:
            peer = await stand.dial()
            peer.send(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path * 2)
            peer.half_close()
            await stand.until(lambda: gated.began)
            gated.gate.set()
            assert (await answer_from(peer)).content == path
            last = await answer_from(peer)
            assert last.content == path
            if path == b"/slow":  # the quick ones may be answered before its end is seen
                assert last.options == {b"close"}
            assert await peer.at_eof()

    play(scene)


@pytest.mark.row("R110")
def test_a_client_that_ends_its_side_while_idle_is_followed_at_once(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello) as stand:
            peer, _ = await stand.ask()
            peer.half_close()
            assert await peer.at_eof()
            silent = await stand.dial()
            silent.half_close()
            assert await silent.at_eof()
            await stand.until(lambda: not stand.server.registry.connections)
            assert await stand.closes(2) == {Reason.PEER_CLOSED: 2}
            assert not stand.server.registry.idle

    play(scene)


@pytest.mark.row("R61")
def test_a_post_without_a_length_has_no_content(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello) as stand:
            peer, answer = await stand.ask(b"POST /a HTTP/1.1\r\nHost: x\r\n\r\n" + GET)
            assert answer.content == b"POST /a "
            assert (await answer_from(peer)).content == b"GET / "

    play(scene)


@pytest.mark.row("R84")
def test_trailers_are_consumed_before_the_next_request(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello) as stand:
            chunks = b"3\r\nabc\r\n0\r\nA: 1\r\nContent-Length: 9\r\nConnection: close\r\n\r\n"
            head = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            peer, answer = await stand.ask(head + chunks + GET)
            assert (answer.content, answer.options) == (b"POST /a abc", {b"keep-alive"})
            assert (await answer_from(peer)).content == b"GET / "

    play(scene)


@pytest.mark.row("R6")
def test_empty_lines_before_a_request_are_ignored(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello) as stand:
            peer, answer = await stand.ask(b"\r\n" + GET + b"\r\n\r\n" + GET)
            assert answer.status == 200
            assert (await answer_from(peer)).status == 200
            peer.send(b"\r\n")
            peer.send(GET)
            assert (await answer_from(peer)).status == 200

    play(scene)


@pytest.mark.row("R143", "R146", "R136")
@pytest.mark.parametrize(
    "head", [b"HTTP/1.1\r\nHost: x\r\nConnection: upgrade", b"HTTP/1.0\r\nConnection: upgrade, keep-alive"]
)
def test_an_upgrade_that_is_not_taken_up_changes_nothing(play: Play, head: bytes) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello) as stand:
            peer, answer = await stand.ask(b"GET / " + head + b"\r\nUpgrade: h2c\r\n\r\n")
            assert (answer.status, answer.options) == (200, {b"keep-alive"})
            peer.send(GET)
            assert (await answer_from(peer)).status == 200

    play(scene)


@pytest.mark.row("R122")
def test_nothing_of_one_request_is_seen_by_the_next(play: Play) -> None:
    variable = contextvars.ContextVar("variable", default="clean")

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        seen = [variable.get(), str(sorted(scope["extensions"])), str(len(scope["asgi"]))]
        variable.set("dirty")
        scope["extensions"]["mine"] = {}
        scope["asgi"]["mine"] = 1
        scope["headers"].append((b"mine", b"1"))
        for message in plain("|".join([*seen, str(len(scope["headers"]))]).encode()):
            await send(message)

    async def scene(network: Network) -> None:
        async with serving(network, application) as stand:
            peer = await stand.dial()
            peer.send(GET * 4)
            answers = {(await answer_from(peer)).content for _ in range(4)}
            peer.send(GET)
            answers.add((await answer_from(peer)).content)
            assert len(answers) == 1
            assert answers.pop().startswith(b"clean|")

    play(scene)


@pytest.mark.row("R163", "R158")
def test_an_unknown_expectation_is_refused_and_its_content_dropped(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello) as stand:
            head = b"POST /a HTTP/1.1\r\nHost: x\r\nExpect: foo\r\nContent-Length: 5\r\n\r\nhello"
            follow = b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na"
            peer, answer = await stand.ask(head + follow)
            assert answer.status == 417
            peer.send(b"bc")
            assert (await answer_from(peer)).content == b"POST /b abc"
            peer.send(b"GET / HTTP/1.0\r\nExpect: foo\r\n\r\n")
            assert (await answer_from(peer)).status == 200

    play(scene)


def test_a_fault_of_ours_at_the_beginning_of_an_exchange_ends_only_that_connection(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello) as stand:
            peer = await stand.dial()
            original = AsgiConnection.exchange_begins

            def fail_on_bad(self: AsgiConnection, request: Request) -> None:
                if request.target == b"/bad":
                    raise ValueError("a bug")
                original(self, request)

            monkeypatch.setattr(AsgiConnection, "exchange_begins", fail_on_bad)
            peer.send(GET + b"GET /bad HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await answer_from(peer)).status == 200
            refused = await answer_from(peer)
            assert (refused.status, refused.options) == (500, {b"close"})
            assert await peer.receive_all() == b""
            _, answer = await stand.ask()
            assert answer.status == 200

    play(scene)
