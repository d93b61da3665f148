"""Two hops: each side decides for itself, and what was said to one hop stays there (9110 §7.6, 9112 §9.3)."""

from __future__ import annotations

import pytest

from perdure.core import (
    ClientConnection,
    Data,
    EndOfMessage,
    Interim,
    Reason,
    Request,
    Response,
    ServerConnection,
    Terms,
    make_lines,
)
from perdure.core.fields import gather
from perdure.core.hopbyhop import strip


def through_a_gateway(
    request: bytes, response: bytes
) -> tuple[bytes, bytes, ServerConnection, ClientConnection]:
    """One exchange through strip and both sides: what the origin and the client read."""
    outside, inside = ServerConnection(terms=Terms(keep_alive_timeout=75)), ClientConnection()
    (asked,) = outside.receive(request)
    assert isinstance(asked, Request)
    assert asked.facts is not None
    forwarded = inside.send_whole(Request(asked.method, asked.target, strip(asked.fields, asked.facts)))
    told, *rest = inside.receive(response)
    assert isinstance(told, Response)
    content = b"".join(event.octets for event in rest if isinstance(event, Data))
    lines = strip(told.fields, gather(told.version, False, told.fields))
    returned = outside.send_whole(Response(told.status, lines), content)
    outside.next_cycle()
    inside.next_cycle()
    return forwarded, returned, outside, inside


@pytest.mark.row("R124", "R131", "R133", "R178", "S11")
def test_close_of_the_origin_is_not_the_clients() -> None:
    forwarded, returned, outside, inside = through_a_gateway(
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: 9\r\nX-Hop: 1\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nConnection: close\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok",
    )
    assert forwarded == b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    assert returned == (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\nKeep-Alive: timeout=75\r\n\r\nok"
    )
    assert (outside.idle, inside.reason) == (True, Reason.CLOSE_RECEIVED)


@pytest.mark.row("R124", "R133", "R181", "S13", "S12")
def test_close_of_the_client_is_not_the_origins() -> None:
    forwarded, returned, outside, inside = through_a_gateway(
        b"GET / HTTP/1.0\r\nHost: x\r\nConnection: close\r\nProxy-Connection: keep-alive\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok",
    )
    assert forwarded == b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    assert returned == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
    assert (outside.reason, inside.idle) == (Reason.CLOSE_RECEIVED, True)


@pytest.mark.row("R166", "R164")
def test_interim_responses_cross_to_11_and_not_to_10() -> None:
    for version, forwarded in ((b"1.1", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"), (b"1.0", b"")):
        outside, inside = ServerConnection(), ClientConnection()
        outside.receive(b"GET / HTTP/%b\r\nHost: x\r\n\r\n" % version)
        inside.send_whole(Request(b"GET", b"/", make_lines([(b"Host", b"x")])))
        (interim,) = inside.receive(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: close\r\n\r\n")
        assert outside.send(interim) == forwarded


@pytest.mark.row("R162", "R159")
def test_expectation_crosses_before_the_content() -> None:
    client, server = ClientConnection(), ServerConnection()
    lines = make_lines([(b"Host", b"x"), (b"Content-Length", b"2"), (b"Expect", b"100-continue")])
    (request,) = server.receive(client.send(Request(b"POST", b"/", lines, end=False)))
    assert not request.end
    assert server.awaits_continue
    assert [type(event) for event in client.receive(server.send(Interim(100)))] == [Interim]
    server.receive(client.send(Data(b"o")) + client.send(Data(b"k")) + client.send(EndOfMessage()))
    client.receive(server.send_whole(Response(200)))
    server.next_cycle()
    client.next_cycle()
    assert (client.idle, server.idle) == (True, True)
