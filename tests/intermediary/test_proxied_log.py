"""What the log of a forward proxy tells of the requests that it refuses itself."""

from __future__ import annotations

import logging

import pytest

from tests.intermediary.conftest import Play, ProxyStage, answer, status, value
from tests.intermediary.test_proxied import AUTH, MALLORY


@pytest.mark.parametrize(
    ("request_line", "told"),
    [
        (
            b"CONNECT a.test:25",
            "CONNECT a.test:25 refused: 403 Forbidden: this proxy opens tunnels to other p",
        ),
        (
            b"CONNECT denied.test:443",
            "CONNECT denied.test:443 refused: 403 Forbidden: this proxy may not ask",
        ),
        (
            b"GET http://10.0.0.1/a?b=c",
            "GET http://10.0.0.1/a refused: 403 Forbidden: connecting to that addr",
        ),
        (b"GET http://a.test:0/", "GET http://a.test:0/ refused: 400 Bad Request: "),
        (
            b"GET https://a.test/",
            "GET https://a.test/ refused: 421 Misdirected Request: https is asked for with",
        ),
        (
            b"GET ftp://a.test/",
            "GET ftp://a.test/ refused: 501 Not Implemented: this proxy asks http origins",
        ),
        (b"GET /secret?", "GET /secret refused: 400 Bad Request: this is a forward proxy"),
    ],
)
def test_why_a_request_is_refused_is_in_the_log(
    play_proxy_virtually: Play, caplog: pytest.LogCaptureFixture, request_line: bytes, told: str
) -> None:
    caplog.set_level(logging.INFO, "perdure")

    async def scene(stage: ProxyStage) -> None:
        client = await stage.client()
        client.send(request_line + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        head, _ = await answer(client)
        assert status(head) >= 400
        refusals = [message for message in caplog.messages if "refused: " in message]
        assert len(refusals) == 1
        assert refusals[0].startswith(f"connection 1: {told}")

    play_proxy_virtually(scene, connect_ports=[443], deny=["denied.test"])


@pytest.mark.parametrize("line", [b"X: 1", MALLORY], ids=["nobody", "wrong password"])
def test_that_credentials_were_refused_is_in_the_log_and_they_are_not(
    play_proxy: Play, caplog: pytest.LogCaptureFixture, line: bytes
) -> None:
    caplog.set_level(logging.INFO, "perdure")

    async def scene(stage: ProxyStage) -> None:
        client = await stage.client()
        client.send(b"GET http://a.test/ HTTP/1.1\r\nHost: a\r\n" + line + b"\r\n\r\n")
        assert status((await answer(client))[0]) == 407
        assert "connection 1: GET http://a.test/ refused: 407 Proxy Authentication Required: " in caplog.text
        assert MALLORY.split()[-1].decode() not in caplog.text

    play_proxy(scene, **AUTH)


def test_that_a_request_went_in_a_loop_is_in_the_log(
    play_proxy: Play, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "perdure")

    async def scene(stage: ProxyStage) -> None:
        client, _, head = await stage.asked(stage.get())
        via = b"Via: " + (value(head, b"via") or b"")
        again = await stage.client()
        again.send(stage.get(b"/", via))
        assert status((await answer(again))[0]) == 508
        assert (
            f"connection 2: GET http://{stage.authority.decode()}/ refused: 508 Loop Detected" in caplog.text
        )
        client.abort()

    play_proxy(scene)
