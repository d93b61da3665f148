"""What is decided about a request is decided by what goes out, and nobody waits for what cannot come."""

from __future__ import annotations

import pytest

from perdure.core import Request
from tests.intermediary.conftest import GET, OK, Play, Stage, answer, status, value

POST = b"POST / HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\nContent-Length: 5\r\n\r\nhello"


def without_key(request: Request) -> None:
    """A hook that drops what would have allowed to repeat the request."""
    request.fields = [line for line in request.fields if line.lowered != b"idempotency-key"]


@pytest.mark.row("R148", "R149")
def test_a_post_whose_key_a_hook_removed_is_not_sent_again(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner = await stage.warmed()
        client.send(POST)
        if not stage.origin.peers[1:]:
            # Not proven: it goes to a fresh connection, which is never tried again either.
            inner = await stage.origin.accept()
        await inner.receive_until(b"hello")
        inner.close()
        assert status((await answer(client))[0]) == 502
        assert sum(peer.received.count(b"POST") for peer in stage.origin.peers) == 1

    play(scene, on_request=without_key)


@pytest.mark.row("R135", "R149")
@pytest.mark.parametrize("name", [b"Idempotency-Key", b"Expect"])
def test_nominating_what_tells_how_to_treat_the_request_is_refused(play: Play, name: bytes) -> None:
    async def scene(stage: Stage) -> None:
        client = await stage.client()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nConnection: " + name + b"\r\nContent-Length: 0\r\n\r\n")
        assert status((await answer(client))[0]) == 400

    play(scene)


@pytest.mark.row("R152")
def test_a_secured_target_on_a_plain_connection_is_misdirected(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client = await stage.client()
        client.send(b"GET https://other/ HTTP/1.1\r\nHost: other\r\n\r\n")
        assert status((await answer(client))[0]) == 421
        assert stage.origin.peers == []

    play(scene)


@pytest.mark.row("R156", "R162")
def test_an_expectation_for_content_that_is_here_already_is_not_passed_on(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        chunks = b"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n0\r\n\r\n"
        client, inner, head = await stage.asked(b"POST / HTTP/1.1\r\nHost: a\r\n" + chunks)
        assert b"expect" not in head.lower()
        inner.send(OK)
        assert (await answer(client))[1] == b"ok"

    play(scene)


def spoil(request: Request) -> None:
    """A hook that leaves behind what cannot be sent."""
    if request.target == b"/spoilt":
        request.target = "text, not octets"  # type: ignore[assignment]  # what a careless hook may do


def test_a_request_that_a_hook_has_spoilt_is_answered_and_costs_no_connection(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client = await stage.client()
        for _ in range(3):
            client.send(GET.replace(b"GET /", b"GET /spoilt"))
            assert status((await answer(client))[0]) >= 500
            await stage.origin.accept()  # dialled, and given up
        _, inner, _ = await stage.asked()
        inner.send(OK)

    play(scene, on_request=spoil, origin_max_per_origin=2)


@pytest.mark.row("R131", "R135", "R166")
@pytest.mark.parametrize(
    ("interim", "code"),
    [
        (b"HTTP/1.1 103 Early Hints\r\nConnection: X-Hop\r\nX-Hop: 1\r\nLink: </a>\r\n\r\n", 200),
        (b"HTTP/1.1 103 Early Hints\r\nConnection: Set-Cookie\r\nSet-Cookie: a\r\n\r\n", 502),
    ],
)
def test_nominations_of_an_interim_response_are_obeyed_or_refused(
    play: Play, interim: bytes, code: int
) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked()
        inner.send(interim + OK)
        if code == 200:
            early = await client.receive_until(b"\r\n\r\n")
            assert (value(early, b"link"), value(early, b"x-hop")) == (b"</a>", None)
            assert value(early, b"connection") is None
        assert status((await answer(client))[0]) == code

    play(scene)


@pytest.mark.row("R132", "R78")
def test_request_trailers_lose_what_was_nominated_and_who_the_client_claims_to_be(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked(
            b"PUT / HTTP/1.1\r\nHost: a\r\nConnection: X-Hop\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"1\r\na\r\n0\r\nX-Hop: 1\r\nX-Forwarded-For: 6.6.6.6\r\nX-Sum: 2\r\n\r\n"
        )
        assert await inner.receive_until(b"0\r\nX-Sum: 2\r\n\r\n") == b"1\r\na\r\n0\r\nX-Sum: 2\r\n\r\n"
        inner.send(OK)
        assert status((await answer(client))[0]) == 200

    play(scene)
