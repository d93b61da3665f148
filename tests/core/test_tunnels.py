"""Where HTTP ends: CONNECT and Upgrade, refused or not, on both sides (9110 §7.8, §9.3.6, RFC 9931)."""

from __future__ import annotations

import pytest

from perdure.core import (
    ClientConnection,
    Data,
    EndOfMessage,
    EndOfStream,
    FramingKind,
    Interim,
    LocalViolation,
    Reason,
    RemoteViolation,
    Request,
    Response,
    ServerConnection,
    State,
    make_lines,
)
from tests.core.harness import every_way, read_requests, read_responses, responses_every_way

CONNECT = b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n"
UPGRADE = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: foo, WebSocket\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
OTHER = b"\x16\x03HTTP/1.1 200 OK\r\n\r\n"
"""Octets of another protocol, with an inlay that must not be read."""
SWITCH = Response(101, make_lines([(b"Upgrade", b"websocket"), (b"Connection", b"upgrade")]))


def begun(octets: bytes) -> ServerConnection:
    server = ServerConnection()
    server.receive(octets)
    return server


# The server's side


@pytest.mark.row("R154", "R44")
@pytest.mark.parametrize("status", [200, 204, 299])
def test_connect_answered_with_2xx_opens_a_tunnel_without_framing_fields(status: int) -> None:
    server = begun(CONNECT + OTHER)
    head = server.send(Response(status, make_lines([(b"Content-Length", b"5")])))
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert head.count(b"\r\n") == 2  # the status line and the blank line, nothing else
    assert (server.reason, server.persists) == (Reason.TUNNEL, False)
    assert server.take_rest() == OTHER


@pytest.mark.row("R154")
def test_tunnel_passes_octets_as_they_are_both_ways() -> None:
    server = begun(CONNECT)
    server.send(Response(200))
    assert server.send(Data(OTHER)) == OTHER
    assert server.receive(OTHER) == []
    assert server.receive(OTHER) == []
    assert server.take_rest() == OTHER * 2
    assert [type(event) for event in server.receive_eof()] == [EndOfStream]
    assert server.send(Data(OTHER)) == OTHER  # the other direction may go on
    assert server.send(EndOfMessage()) == b""
    assert server.next_cycle() == []
    assert server.own_state is State.CLOSED


@pytest.mark.row("R144", "R145")
def test_server_switches_to_a_protocol_that_was_offered() -> None:
    server = begun(UPGRADE + OTHER)
    assert server.send(SWITCH) == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
    )
    assert server.reason is Reason.TUNNEL
    assert server.take_rest() == OTHER


@pytest.mark.row("R144", "R143", "R136")
@pytest.mark.parametrize(
    "octets",
    [
        GET,
        UPGRADE.replace(b"WebSocket", b"bar"),
        UPGRADE.replace(b"WebSocket", b"websocket2"),
        UPGRADE.replace(b"Connection: Upgrade", b"Connection: x"),
        UPGRADE.replace(b"HTTP/1.1", b"HTTP/1.0"),
    ],
)
def test_server_never_switches_to_what_was_not_offered(octets: bytes) -> None:
    server = begun(octets)
    with pytest.raises(LocalViolation, match=r"a 101 to .*, offered were .* \(9110 §7\.8\)"):
        server.send(SWITCH)
    assert server.send_whole(Response(200)).startswith(b"HTTP/1.1 200 OK\r\n")  # nothing of it was sent


@pytest.mark.row("R144")
def test_101_names_its_protocol() -> None:
    with pytest.raises(LocalViolation, match="a 101 to"):
        begun(UPGRADE).send(Response(101))


@pytest.mark.row("R144", "R145")
def test_426_sends_upgrade_and_its_option() -> None:
    head = begun(GET).send(Response(426, make_lines([(b"Upgrade", b"websocket")])))
    assert b"\r\nUpgrade: websocket\r\n" in head
    assert b"\r\nConnection: upgrade\r\n" in head


@pytest.mark.row("R147")
def test_100_that_is_awaited_comes_before_101() -> None:
    server = begun(UPGRADE[:-2] + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    with pytest.raises(LocalViolation, match="the 100 that is awaited comes before a 101"):
        server.send(SWITCH)
    server.send(Interim(100))
    server.receive(b"ok" + OTHER)
    assert server.send(SWITCH).startswith(b"HTTP/1.1 101 ")
    assert server.take_rest() == OTHER


@pytest.mark.row("R146", "R143")
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_refused_upgrade_changes_nothing_of_persistence(version: bytes) -> None:
    offer = UPGRADE.replace(b"1.1", version).replace(
        b"Connection: Upgrade", b"Connection: Upgrade, keep-alive"
    )
    for pieces in every_way(offer + GET):
        sent, server = bytearray(), ServerConnection()
        assert len(read_requests(pieces, connection=server, sent=sent).heads) == 2
        assert sent.count(b"HTTP/1.1 200 OK\r\n") == 2
        assert server.idle


# The client's side


def sent_by(request: Request) -> tuple[ClientConnection, bytes]:
    client = ClientConnection()
    return client, client.send_whole(request)


def connect(*pairs: tuple[bytes, bytes]) -> Request:
    return Request(b"CONNECT", b"h:443", make_lines([(b"Host", b"h:443"), *pairs]))


@pytest.mark.row("R52", "R154")
@pytest.mark.parametrize("field", [b"", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_client_ignores_framing_fields_of_a_2xx_to_connect(field: bytes) -> None:
    octets = b"HTTP/1.1 200 OK\r\n" + field + b"\r\n" + OTHER
    outcome = responses_every_way(octets, [b"CONNECT"])
    assert outcome.heads[0].kind is FramingKind.TUNNEL
    assert (outcome.contents, outcome.reason, outcome.complete) == ([OTHER], Reason.TUNNEL, 0)


@pytest.mark.row("R129", "R154")
@pytest.mark.parametrize("clean", [True, False])
def test_end_of_a_tunnel_is_told_however_it_came(clean: bool) -> None:
    client, _ = sent_by(connect())
    client.receive(b"HTTP/1.1 200 OK\r\n\r\n")
    assert [type(event) for event in client.receive_eof(clean)] == [EndOfMessage]
    assert client.reason is Reason.TUNNEL


@pytest.mark.row("R168", "R167")
@pytest.mark.parametrize("status", [b"403", b"407", b"504"])
def test_rejection_of_connect_is_an_ordinary_response(status: bytes) -> None:
    octets = b"HTTP/1.1 %b No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno" % status
    outcome = responses_every_way(octets, [b"CONNECT"])
    assert (outcome.contents, outcome.complete, outcome.reason) == ([b"no"], 1, Reason.CLOSE_RECEIVED)


@pytest.mark.row("R167", "R21")
def test_client_can_say_close_with_connect_and_sends_no_payload_before_the_2xx() -> None:
    client, octets = sent_by(connect((b"Connection", b"close")))
    assert octets == b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\nConnection: close\r\n\r\n"
    with pytest.raises(LocalViolation, match="content cannot be sent by a side that is done"):
        client.send(Data(OTHER))
    client.receive(b"HTTP/1.1 200 OK\r\n\r\n")
    assert client.reason is Reason.TUNNEL


@pytest.mark.row("R145", "R134")
@pytest.mark.parametrize(
    ("pairs", "lines"),
    [
        ([(b"Upgrade", b"foo")], b"Upgrade: foo\r\nConnection: upgrade\r\n"),
        ([(b"Upgrade", b"foo"), (b"Connection", b"Upgrade")], b"Upgrade: foo\r\nConnection: upgrade\r\n"),
        ([(b"TE", b"trailers")], b"TE: trailers\r\nConnection: te\r\n"),
        (
            [(b"TE", b"trailers"), (b"Upgrade", b"foo"), (b"Connection", b"X, close"), (b"X", b"1")],
            b"TE: trailers\r\nUpgrade: foo\r\nX: 1\r\nConnection: close, te, upgrade, x\r\n",
        ),
    ],
)
def test_connection_specific_fields_are_sent_with_their_options(
    pairs: list[tuple[bytes, bytes]], lines: bytes
) -> None:
    _, octets = sent_by(Request(b"GET", b"/", make_lines([(b"Host", b"x"), *pairs])))
    assert octets == b"GET / HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n"


@pytest.mark.row("R154")
def test_101_opens_a_tunnel_whatever_its_fields_say() -> None:
    offer = Request(b"GET", b"/", make_lines([(b"Host", b"x"), (b"Upgrade", b"foo")]))
    octets = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 Go\r\nUpgrade: foo\r\nContent-Length: 3\r\n\r\n"
    for pieces in every_way(octets + OTHER):
        outcome = read_responses(pieces, [offer])
        assert [head.start[0] for head in outcome.heads] == [100, 101]
        assert (outcome.contents, outcome.reason) == ([OTHER], Reason.TUNNEL)


@pytest.mark.row("R99")
def test_no_request_follows_into_a_tunnel() -> None:
    client, _ = sent_by(connect())
    client.receive(b"HTTP/1.1 200 OK\r\n\r\n")
    with pytest.raises(
        LocalViolation, match="no more requests on this connection: the connection became a tunnel"
    ):
        client.send_whole(connect())


@pytest.mark.row("R144")
def test_101_that_nobody_asked_for_is_no_answer() -> None:
    client, _ = sent_by(Request(b"GET", b"/", make_lines([(b"Host", b"x")])))
    with pytest.raises(RemoteViolation, match=r"a 101 that was not asked for \(9110 §7\.8\)") as caught:
        client.receive(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: foo\r\n\r\n" + OTHER)
    assert (caught.value.status, client.persists) == (502, False)


@pytest.mark.row("R144")
@pytest.mark.parametrize("line", [b"Upgrade: foo\r\n", b"", b"Upgrade: websocket, foo\r\n"])
def test_101_to_another_protocol_than_was_asked_for_is_no_answer(line: bytes) -> None:
    client, _ = sent_by(Request(b"GET", b"/", make_lines([(b"Host", b"x"), (b"Upgrade", b"bar, WebSocket")])))
    with pytest.raises(RemoteViolation, match=r"a 101 to .*, asked for were .* \(9110 §7\.8\)") as caught:
        client.receive(b"HTTP/1.1 101 Switching Protocols\r\n" + line + b"\r\n" + OTHER)
    assert (caught.value.status, client.persists) == (502, False)
