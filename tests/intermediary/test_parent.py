"""A forward proxy with a parent, which the origin plays: what it is asked, what becomes of its answers."""

from __future__ import annotations

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
        assert value(head, b"proxy-status") == b"perdure; error=proxy_configuration_error"
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
