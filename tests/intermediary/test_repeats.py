"""A head that is the one before takes a short way; what each connection says stays its own all the same."""

from __future__ import annotations

import pytest

from perdure.core import Reason
from perdure.wire.raw import RawPeer
from tests.intermediary.conftest import OK, Play, Stage, answer, status, value, values

DATED = b"HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 2\r\n\r\n"


def get(cookie: bytes, more: bytes = b"") -> bytes:
    return b"GET /a HTTP/1.1\r\nHost: a\r\nCookie: " + cookie + b"\r\n" + more + b"\r\n"


async def exchange(
    client: RawPeer, inner: RawPeer, octets: bytes, response: bytes = DATED + b"ok"
) -> tuple[bytes, bytes, bytes]:
    """What the origin got, and what the client got: head and content."""
    client.send(octets)
    head = await inner.receive_until(b"\r\n\r\n")
    inner.send(response)
    return head, *await answer(client)


def test_heads_said_again_reach_the_origin_as_the_first_one_did(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, first = await stage.asked(get(b"one"))
        inner.send(DATED + b"ok")
        began, _ = await answer(client)
        for number in range(4):
            head, back, content = await exchange(client, inner, get(b"one"), DATED + b"%02d" % number)
            assert head == first
            assert content == b"%02d" % number
            kept = [line for line in back.split(b"\r\n") if not line.startswith(b"Keep-Alive")]
            assert kept == [line for line in began.split(b"\r\n") if not line.startswith(b"Keep-Alive")]

    play(scene)


@pytest.mark.row("R64")
def test_two_clients_on_one_connection_to_the_origin_each_keep_their_own_fields(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        one, inner, _ = await stage.asked(get(b"one"))
        inner.send(DATED + b"11")
        await answer(one)
        other = await stage.client()
        for _ in range(4):
            for client, name in ((one, b"one"), (other, b"two"), (other, b"two"), (one, b"one")):
                head, _, content = await exchange(client, inner, get(name), DATED + name[:2])
                assert values(head, b"cookie") == [name]
                assert content == name[:2]
        assert len(stage.origin.peers) == 1

    play(scene)


@pytest.mark.row("R133", "R135")
def test_a_nomination_in_a_later_head_is_obeyed_or_refused_as_in_the_first(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked(get(b"one", b"X-Mine: 1\r\n"))
        inner.send(DATED + b"ok")
        await answer(client)
        for _ in range(2):
            head, _, _ = await exchange(client, inner, get(b"one", b"X-Mine: 1\r\n"))
            assert value(head, b"x-mine") == b"1"
            head, _, _ = await exchange(client, inner, get(b"one", b"X-Mine: 1\r\nConnection: x-mine\r\n"))
            assert values(head, b"x-mine") == []
            assert values(head, b"connection") == []
        client.send(get(b"one", b"Connection: cookie\r\n"))
        assert status((await answer(client))[0]) == 400

    play(scene)


@pytest.mark.row("R124")
def test_an_end_on_one_side_is_that_sides_alone_though_heads_repeat(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked(get(b"one"))
        inner.send(DATED + b"ok")
        await answer(client)
        _, back, _ = await exchange(client, inner, get(b"one"), DATED[:-2] + b"Connection: close\r\n\r\nok")
        assert values(back, b"connection") != [b"close"]
        inner.close()
        client.send(get(b"one"))
        fresh = await stage.origin.accept()
        await fresh.receive_until(b"\r\n\r\n")
        fresh.send(DATED + b"ok")
        assert status((await answer(client))[0]) == 200

    play(scene)


@pytest.mark.row("R86")
def test_a_response_with_a_known_head_and_too_little_content_is_cut_off_visibly(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked(get(b"one"))
        inner.send(DATED + b"ok")
        await answer(client)
        await exchange(client, inner, get(b"one"))
        client.send(get(b"one"))
        await inner.receive_until(b"\r\n\r\n")
        inner.send(DATED + b"o")
        inner.close()
        await client.receive_until(b"\r\n\r\n")
        assert await client.receive_all() == b"o"

    play(scene)


def test_a_stale_connection_is_noticed_though_the_request_is_the_one_before(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, first = await stage.asked(get(b"one"))
        inner.send(DATED + b"ok")
        await answer(client)
        await exchange(client, inner, get(b"one"))
        client.send(get(b"one"))
        await inner.receive_until(b"\r\n\r\n")
        inner.close()
        fresh = await stage.origin.accept()
        assert await fresh.receive_until(b"\r\n\r\n") == first
        fresh.send(OK)
        assert status((await answer(client))[0]) == 200
        assert stage.gateway.statistics().retried == 1

    play(scene)


def test_pipelined_heads_that_repeat_are_answered_in_their_order(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked(get(b"one"))
        inner.send(DATED + b"ok")
        await answer(client)
        client.send(get(b"one") * 3)
        for number in range(3):
            await inner.receive_until(b"\r\n\r\n")
            inner.send(DATED + b"%02d" % number)
        assert [(await answer(client))[1] for _ in range(3)] == [b"00", b"01", b"02"]

    play(scene)


def dated(*lines: bytes, content: bytes = b"ok", start: bytes = b"200 OK") -> bytes:
    """A response that may be remembered, with these lines behind its Date."""
    rest = b"".join([line + b"\r\n" for line in lines])
    date = b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
    return b"HTTP/1.1 %b\r\n%b%bContent-Length: %d\r\n\r\n%b" % (start, date, rest, len(content), content)


def test_answers_that_differ_in_values_and_length_reach_each_client_as_they_are(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        one, inner, _ = await stage.asked(get(b"one"))
        inner.send(dated(b'ETag: "0"'))
        await answer(one)
        other = await stage.client()
        for number in range(1, 9):
            for client, name in ((one, b"one"), (other, b"two")):
                content = name * number
                response = dated(b'ETag: "%d"' % number, content=content)
                _, back, received = await exchange(client, inner, get(name), response)
                assert (value(back, b"etag"), received) == (b'"%d"' % number, content)
                assert values(back, b"via") == [b"1.1 perdure"]
        assert len(stage.origin.peers) == 1

    play(scene)


@pytest.mark.row("R173", "R174")
def test_hint_of_an_answer_that_is_like_the_one_before_is_honoured_and_goes_no_further(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked(get(b"one"))
        inner.send(dated(b"Connection: keep-alive", b"Keep-Alive: timeout=9, max=3"))
        await answer(client)
        for left in (2, 1, 0):
            hint = b"Keep-Alive: timeout=9, max=%d" % left
            response = dated(b"Connection: keep-alive", hint)
            _, back, _ = await exchange(client, inner, get(b"one"), response)
            assert b"timeout=9" not in back
        await inner.receive_all()
        client.send(get(b"one"))
        fresh = await stage.origin.accept()
        await fresh.receive_until(b"\r\n\r\n")
        fresh.send(OK)
        assert status((await answer(client))[0]) == 200
        assert stage.gateway.statistics().origins.closes[Reason.HINT_MAX] == 1

    play(scene)


def test_challenge_for_the_connection_is_found_though_the_answer_is_like_the_one_before(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked(get(b"one"))
        inner.send(dated(b"WWW-Authenticate: Basic", start=b"401 Unauthorized"))
        await answer(client)
        await exchange(
            client, inner, get(b"one"), dated(b"WWW-Authenticate: NTLM", start=b"401 Unauthorized")
        )
        other = await stage.client()
        other.send(get(b"two"))
        fresh = await stage.origin.accept()
        await fresh.receive_until(b"\r\n\r\n")
        assert len(stage.origin.peers) == 2

    play(scene)


@pytest.mark.row("R144")
def test_426_with_the_fields_of_the_response_before_it_names_protocols_as_it_must(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        fields = (
            b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
            b"Content-Length: 2\r\n\r\nno"
        )
        client, inner, _ = await stage.asked(get(b"one"))
        for start, named in (
            (b"200 OK", []),
            (b"426 Upgrade Required", [b"websocket"]),
            (b"426 Upgrade Required", [b"websocket"]),
            (b"200 OK", []),
        ):
            inner.send(b"HTTP/1.1 " + start + b"\r\n" + fields)
            head, _ = await answer(client)
            assert (status(head), values(head, b"upgrade")) == (int(start[:3]), named)
            client.send(get(b"one"))
            await inner.receive_until(b"\r\n\r\n")

    play(scene, upgrade=["websocket"])
