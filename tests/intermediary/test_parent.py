"""A forward proxy with a parent, which the origin plays: what it is asked, what becomes of its answers."""

from __future__ import annotations

import logging
from base64 import b64encode

import pytest

from tests.intermediary.conftest import OK, Play, ProxyStage, answer, status, value, values
from tests.intermediary.test_proxied import ALICE


@pytest.mark.row("R21")
def test_a_parent_gets_absolute_form_and_the_credentials_of_its_url(play_proxy: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        client, inner, head = await stage.asked(
            b"GET http://a.test/x?y HTTP/1.1\r\nHost: b\r\nProxy-Authorization: mine\r\n\r\n"
        )
        assert head.startswith(b"GET http://a.test/x?y HTTP/1.1\r\nHost: a.test\r\n")
        assert values(head, b"proxy-authorization") == [b"Basic " + b64encode(b"bob:secret")]
        inner.send(OK)
        await answer(client)
        client.send(
            b"OPTIONS http://c.test HTTP/1.1\r\nHost: c.test\r\n\r\n"
        )  # another origin, the same connection
        assert (await inner.receive_until(b"\r\n\r\n")).startswith(b"OPTIONS http://c.test HTTP/1.1\r\n")

    play_proxy(scene, parent="http://bob:secret@ORIGIN")


def test_a_parent_that_refuses_our_credentials_is_not_the_clients_fault(play_proxy: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        client, inner, _ = await stage.asked(b"GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n")
        head = b'HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm="x"\r\n'
        refusal = head + b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 2\r\n\r\nno"
        inner.send(refusal)
        head, content = await answer(client)
        assert (status(head), content) == (502, b"no")
        assert (
            value(head, b"proxy-status") == b"perdure; error=proxy_configuration_error; received-status=407"
        )
        assert not values(head, b"proxy-authenticate")
        for _ in range(3):  # both connections live, and nothing is remembered that the client may not hear
            client.send(b"GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n")
            await inner.receive_until(b"\r\n\r\n")
            inner.send(refusal)
            assert status((await answer(client))[0]) == 502

    play_proxy(scene, parent="http://ORIGIN")


def test_a_parent_may_be_told_what_the_client_said(play_proxy: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        request = b"GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n" + ALICE + b"\r\n\r\n"
        client, inner, head = await stage.asked(request)
        assert ALICE in head
        inner.send(b'HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n')
        head, _ = await answer(client)
        assert (status(head), value(head, b"proxy-authenticate")) == (407, b'Basic realm="x"')

    play_proxy(scene, parent="http://ORIGIN", parent_credentials="client")


def test_names_are_judged_for_a_parent_too_as_far_as_they_tell(play_proxy: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        client = await stage.client()
        for url in b"http://denied.test/", b"http://10.0.0.1/":
            client.send(b"GET " + url + b" HTTP/1.1\r\nHost: a\r\n\r\n")
            assert status((await answer(client))[0]) == 403
        assert not stage.origin.peers

    play_proxy(scene, parent="http://ORIGIN", deny=["denied.test"])


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [("replace", b"127.0.0.1"), ("append", b"192.0.2.9, 127.0.0.1"), ("leave", b"192.0.2.9")],
)
def test_parent_is_told_who_asks_for_a_tunnel_as_it_is_for_other_requests(
    play_proxy: Play, forwarded: str, expected: bytes
) -> None:
    async def scene(stage: ProxyStage) -> None:
        fields = b"Host: a\r\nX-Forwarded-For: 192.0.2.9\r\n\r\n"
        client = await stage.client()
        for start in b"GET http://%b/", b"CONNECT %b":
            client.send(start % stage.authority + b" HTTP/1.1\r\n" + fields)
            inner = await stage.origin.accept()
            assert value(await inner.receive_until(b"\r\n\r\n"), b"x-forwarded-for") == expected
            inner.send(OK)
            if start.startswith(b"GET"):
                await answer(client)

    play_proxy(scene, parent="http://ORIGIN", forwarded=forwarded)


@pytest.mark.row("R156")
def test_what_a_client_expects_of_a_connect_does_not_keep_the_parent_from_being_asked(
    play_proxy: Play,
) -> None:
    async def scene(stage: ProxyStage) -> None:
        client = await stage.client()
        client.send(b"CONNECT %b HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n" % stage.authority)
        inner = await stage.origin.accept()
        assert not values(await inner.receive_until(b"\r\n\r\n"), b"expect")
        inner.send(b"HTTP/1.1 200 OK\r\n\r\n")
        assert status(await client.receive_until(b"\r\n\r\n")) == 200

    play_proxy(scene, parent="http://ORIGIN")


@pytest.mark.parametrize(
    ("said", "hop"), [("errors", b""), ("always", b""), ("detailed", b'; next-hop="127.0.0.1:PORT"')]
)
@pytest.mark.parametrize("start", [b"GET http://a.test/", b"CONNECT a.test:443"])
def test_what_a_parent_says_of_its_407_and_what_we_say_are_one_list(
    play_proxy: Play, said: str, hop: bytes, start: bytes
) -> None:
    """RFC 9209 §2: members are appended, and there is one for each hop."""

    async def scene(stage: ProxyStage) -> None:
        client = await stage.client()
        client.send(start + b" HTTP/1.1\r\nHost: a.test\r\n\r\n")
        inner = await stage.origin.accept()
        await inner.receive_until(b"\r\n\r\n")
        before = b"Proxy-Status: far\r\nProxy-Status: near; error=http_request_denied\r\n"
        inner.send(b"HTTP/1.1 407 Who\r\n" + before + b"Content-Length: 0\r\n\r\n")
        head, _ = await answer(client)
        ours = b"perdure; error=proxy_configuration_error; received-status=407" + hop
        expected = b"far, near; error=http_request_denied, " + ours
        assert status(head) == 502
        assert values(head, b"proxy-status") == [expected.replace(b"PORT", b"%d" % stage.origin.port)]

    play_proxy(scene, parent="http://ORIGIN", connect_ports=["any"], proxy_status=said)


@pytest.mark.parametrize(
    ("said", "ours"),
    [
        ("errors", b"near"),
        ("always", b"near, perdure; received-status=403"),
        ("detailed", b'near, perdure; received-status=403; next-hop="127.0.0.1:PORT"'),
    ],
)
def test_a_tunnel_that_a_parent_refuses_is_told_as_any_response_that_crosses(
    play_proxy: Play, said: str, ours: bytes
) -> None:
    async def scene(stage: ProxyStage) -> None:
        client = await stage.client()
        client.send(b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n")
        inner = await stage.origin.accept()
        await inner.receive_until(b"\r\n\r\n")
        inner.send(b"HTTP/1.1 403 No\r\nProxy-Status: near\r\nContent-Length: 0\r\n\r\n")
        head, _ = await answer(client)
        assert status(head) == 403
        assert values(head, b"proxy-status") == [ours.replace(b"PORT", b"%d" % stage.origin.port)]

    play_proxy(scene, parent="http://ORIGIN", connect_ports=["any"], proxy_status=said)


@pytest.mark.parametrize("start", [b"GET http://a.test/", b"CONNECT a.test:443"])
def test_a_parent_that_cannot_be_reached_is_called_the_parent(
    play_proxy: Play, start: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "perdure")

    async def scene(stage: ProxyStage) -> None:
        stage.origin.close()
        client = await stage.client()
        client.send(start + b" HTTP/1.1\r\nHost: a.test\r\n\r\n")
        head, content = await answer(client)
        assert value(head, b"proxy-status") == b"perdure; error=connection_refused"
        assert content.rstrip() == b"502 Bad Gateway: connecting to the parent proxy failed"
        parent = f"http://127.0.0.1:{stage.origin.port}"
        told = f"through {parent}" if start.startswith(b"CONNECT") else f"parent proxy {parent}"
        assert f"{told}: " in caplog.text

    play_proxy(scene, parent="http://ORIGIN", connect_ports=["any"])


def test_a_parent_that_answers_nothing_is_called_the_parent(play_proxy: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        client, inner, _ = await stage.asked(b"GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n")
        inner.abort()
        head, content = await answer(client)
        assert value(head, b"proxy-status") == b"perdure; error=connection_terminated"
        assert content.startswith(b"502 Bad Gateway: the parent proxy closed the connection")

    play_proxy(scene, parent="http://ORIGIN")
