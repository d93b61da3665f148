"""A gateway as clients and origins see it: what it forwards, and how long connections live."""

from __future__ import annotations

from tests.intermediary.conftest import OK, Play, Stage, answer, status


def test_request_and_response_cross(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, head = await stage.asked()
        assert head.startswith(b"GET / HTTP/1.1\r\nHost: a\r\n")
        inner.send(OK)
        back, content = await answer(client)
        assert status(back) == 200
        assert content == b"ok"

    play(scene)
