"""Proxy-Status: what it says, to whom, and what it keeps to itself (RFC 9209)."""

from __future__ import annotations

import pytest

from perdure.client.urls import Origin
from perdure.core.pool import Private
from perdure.intermediary.proxy_status import next_hop_of, status_line
from tests.intermediary.conftest import GET, OK, Play, Stage, answer, status, value, values


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ({}, b"perdure"),
        ({"error": "dns_error"}, b"perdure; error=dns_error"),
        ({"received": 200, "next_hop": "a:80"}, b'perdure; received-status=200; next-hop="a:80"'),
        ({"details": 'it said "no\\maybe"'}, b'perdure; details="it said \\"no\\\\maybe\\""'),
        ({"details": "line\r\nX-Evil: 1 §9\x7f"}, b'perdure; details="lineX-Evil: 1 9"'),
    ],
)
def test_each_parameter_is_written_as_a_structured_field(said: dict[str, object], line: bytes) -> None:
    assert status_line(b"perdure", **said).value == line  # type: ignore[arg-type]  # by name


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (Origin("http", "a", 80), "a:80"),
        (Origin("https", "::1", 443), "[::1]:443"),
        (Private(Origin("http", "a", 81), 7), "a:81"),
        (Origin("http", "localhost", 80, "", "/run/a.sock"), "/run/a.sock"),
    ],
)
def test_next_hop_is_where_connections_go(key: object, text: str) -> None:
    assert next_hop_of(key) == text


BROKEN = b"HTTP/1.1 200 OK\r\nConnection: Set-Cookie\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("setting", ["errors", "always", "detailed"])
def test_failure_is_told_with_the_status_received_and_its_details_only_where_wanted(
    play: Play, setting: str
) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked()
        inner.send(BROKEN)
        head, _ = await answer(client)
        assert status(head) == 502
        said = value(head, b"proxy-status") or b""
        assert said.startswith(b"perdure; error=http_protocol_error; received-status=200")
        hop = b'; next-hop="127.0.0.1:%d"; details="Connection names set-cookie' % stage.origin.port
        assert (hop in said) is (setting == "detailed")
        client.send(GET)  # an error of ours ends nothing that it need not end
        again = await stage.origin.accept()
        await again.receive_until(b"\r\n\r\n")
        again.send(OK)
        assert status((await answer(client))[0]) == 200

    play(scene, proxy_status=setting)


@pytest.mark.parametrize(
    ("setting", "ours"),
    [
        ("errors", []),
        ("always", [b"perdure; received-status=%d"]),
        ("detailed", [b'perdure; received-status=%d; next-hop="127.0.0.1:PORT"']),
    ],
)
def test_response_that_crosses_says_so_behind_those_before_us(
    play: Play, setting: str, ours: list[bytes]
) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked()
        for code in (b"200", b"404", b"404"):
            response = OK.replace(b"200", code).replace(b"\r\n\r\n", b"\r\nProxy-Status: inner\r\n\r\n")
            response = response.replace(b"\r\n", b"\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 1)
            inner.send(response)
            head, _ = await answer(client)
            expected = [
                line.replace(b"%d", code).replace(b"PORT", b"%d" % stage.origin.port) for line in ours
            ]
            assert values(head, b"proxy-status") == [b"inner", *expected]
            client.send(GET)
            await inner.receive_until(b"\r\n\r\n")

    play(scene, proxy_status=setting)


def test_who_finds_no_place_is_told_when_to_come_again(play_virtually: Play) -> None:
    async def scene(stage: Stage) -> None:
        await stage.asked()
        waits, refused = await stage.client(), await stage.client()
        waits.send(GET)
        refused.send(GET)
        head, content = await answer(refused)
        assert (status(head), value(head, b"retry-after")) == (503, b"1")
        assert value(head, b"proxy-status") == b"perdure; error=connection_limit_reached"
        assert b"too many requests wait" in content
        head, content = await answer(waits)
        assert (status(head), value(head, b"retry-after")) == (503, b"1")
        assert b"stayed busy for too long" in content

    play_virtually(scene, origin_max_per_origin=1, origin_max_waiting=1, origin_pool_timeout=5.0)
