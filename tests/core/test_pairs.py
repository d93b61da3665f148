"""A client and a server of ours, joined: they agree on every exchange, and no message is misread (9112 §9).

A state machine asks, answers, cuts the octets on their way, pipelines, answers early, drains and closes,
in any order. Content is full of octets that look like messages.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from perdure.core import (
    HTTP_10,
    HTTP_11,
    Announce,
    ClientConnection,
    Data,
    Event,
    Interim,
    Limits,
    LocalViolation,
    Reason,
    RemoteViolation,
    Request,
    Response,
    Role,
    ServerConnection,
    State,
    Terms,
    make_lines,
)
from perdure.core.fields import Version

INLAYS = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nGET /evil HTTP/1.1\r\nHost: x\r\n\r\n0\r\n\r\n"
OPTIONS = st.sampled_from(
    [b"", b",,", b"something-close", b"keep-alive", b"Keep-Alive, x", b"x"] * 3
    + [b"close", b"keep-alive, Close"]
)
METHODS = st.sampled_from([b"GET", b"HEAD", b"POST", b"PUT"] * 4 + [b"CONNECT"])
VERSIONS = st.sampled_from([HTTP_11, HTTP_11, HTTP_11, HTTP_10])
SIZES = st.sampled_from([0, 1, 2, 17, 18, 19, 70])
PIECES = st.integers(1, 60) | st.just(10_000)
SELDOM = st.integers(0, 11).map(lambda number: number == 7)
NO_CONTENT = {204, 205, 304}


class Message(NamedTuple):
    """What one side said, or what the other made of it: (method, target) or (status,), and content."""

    start: tuple[object, ...]
    content: bytes


def content_of(number: int, size: int) -> bytes:
    """Content of which no two messages have the same, full of what looks like messages."""
    return (b"%d" % number + INLAYS * 2)[:size]


class Ear:
    """What one side has heard: whole messages, and the one under way."""

    def __init__(self) -> None:
        self.heard: list[Message] = []
        self.heads = 0
        self._start: tuple[object, ...] = ()
        self._content = b""

    def hear(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Request):
                self._begin((event.method, event.target))
            elif isinstance(event, Response):
                self._begin((event.status,))
            elif isinstance(event, Data):
                self._content += event.octets
            if event.end:
                self.heard.append(Message(self._start, self._content))

    def _begin(self, start: tuple[object, ...]) -> None:
        self._start, self._content = start, b""
        self.heads += 1


class Pair(RuleBasedStateMachine):
    """One connection, seen from both ends."""

    @initialize(
        server_terms=st.builds(
            Terms,
            persist=SELDOM.map(lambda refuses: not refuses),
            keep_alive_timeout=st.sampled_from([None, 5]),
            max_requests=st.sampled_from([None, None, None, 2, 3, 5]),
            announce=st.sampled_from(Announce),
            http_10_honoured=st.booleans(),
        ),
        role=st.sampled_from([Role.SERVER, Role.SERVER, Role.PROXY]),
        drain_body=st.sampled_from([0, 5, 1000]),
        persist=SELDOM.map(lambda refuses: not refuses),
        speaks_11=st.booleans(),
    )
    def connect(
        self, server_terms: Terms, role: Role, drain_body: int, persist: bool, speaks_11: bool
    ) -> None:
        self.server = ServerConnection(Limits(drain_body=drain_body), server_terms, role)
        self.client = ClientConnection(terms=Terms(persist=persist))
        self.client.peer_speaks_11 = speaks_11
        self.to_server, self.to_client = bytearray(), bytearray()
        self.asked: list[Message] = []
        self.told: list[Message] = []
        self.decided: list[Reason] = []
        self.server_ear, self.client_ear = Ear(), Ear()
        self.upload, self.download = b"", b""
        self.last_request = self.half_closed = self.server_gone = self.cut_short = False
        self.interims = 0

    # The client

    @property
    def may_ask(self) -> bool:
        client = self.client
        ready = client.own_state in (State.IDLE, State.DONE) and client.peer_state is not State.DONE
        return ready and client.persists and not self.last_request and not self.half_closed

    @rule(
        method=METHODS,
        version=VERSIONS,
        option=OPTIONS,
        size=SIZES,
        shape=st.sampled_from(["whole", "declared", "chunked"]),
        expect=st.booleans(),
    )
    @precondition(lambda self: self.may_ask and len(self.asked) - len(self.client_ear.heard) < 4)
    def ask(
        self, method: bytes, version: Version, option: bytes, size: int, shape: str, expect: bool
    ) -> None:
        number = len(self.asked)
        target = b"h:%d" % (number + 1) if method == b"CONNECT" else b"/%d" % number
        content = b"" if method == b"CONNECT" else content_of(number, size)
        pairs = [(b"Host", b"x"), (b"Connection", option)]
        if expect and content:
            pairs.append((b"Expect", b"100-continue"))
        if shape == "chunked" and self.client.peer_speaks_11 and version == HTTP_11 and content:
            self._begin_upload(Request(method, target, make_lines(pairs), version, end=False), content)
        elif shape == "declared" and content:
            pairs.append((b"Content-Length", b"%d" % size))
            self._begin_upload(Request(method, target, make_lines(pairs), version, end=False), content)
        else:
            self.to_server += self.client.send_whole(
                Request(method, target, make_lines(pairs), version), content
            )
        self.asked.append(Message((method, target), content))
        self.last_request = b"\r\nConnection: close" in self.to_server

    def _begin_upload(self, request: Request, content: bytes) -> None:
        self.to_server += self.client.send(request)
        self.upload = content

    @rule(size=st.integers(1, 40))
    @precondition(lambda self: self.client.own_state is State.SENDING)
    def go_on_uploading(self, size: int) -> None:
        piece, self.upload = self.upload[:size], self.upload[size:]
        self.to_server += self.client.send(Data(piece, not self.upload))

    @rule(version=VERSIONS)
    @precondition(lambda self: not self.may_ask and not self.half_closed)
    def no_request_goes_out_where_none_may(self, version: Version) -> None:
        with pytest.raises(LocalViolation):
            self.client.send_whole(Request(b"GET", b"/", make_lines([(b"Host", b"x")]), version))

    @rule(now=SELDOM)
    @precondition(lambda self: self.client.own_state is not State.SENDING and not self.to_server)
    def half_close(self, now: bool) -> None:
        if now and not self.half_closed and not self.server_gone:
            self.half_closed = True
            self.server.receive_eof()
            self._settle_server()

    @rule(size=PIECES)
    def deliver_to_client(self, size: int) -> None:
        piece = bytes(self.to_client[:size])
        del self.to_client[:size]
        self._client_hears(self.client.receive(piece))
        if self.server_gone and not self.to_client and not self.client.half_closed:
            try:
                self._client_hears(self.client.receive_eof())
            except RemoteViolation:
                self.cut_short = True

    def _client_hears(self, events: list[Event]) -> None:
        client, ear = self.client, self.client_ear
        heads = ear.heads
        ear.hear(events)
        if ear.heads > heads and client.reason is not Reason.TUNNEL:
            assert client.reason is not None
            assert client.persists == self.decided[heads].persists, (client.reason, self.decided[heads])
        elif ear.heads > heads:
            assert self.decided[heads] is Reason.TUNNEL
        if client.peer_state is State.DONE and (client.own_state is State.DONE or not client.persists):
            try:
                self._client_hears(client.next_cycle())
            except RemoteViolation:
                self.cut_short = True

    # The server

    @rule(size=PIECES)
    def deliver_to_server(self, size: int) -> None:
        piece = bytes(self.to_server[:size])
        del self.to_server[:size]
        if not self.server_gone:
            self.server_ear.hear(self.server.receive(piece))
            self._settle_server()

    @property
    def may_answer(self) -> bool:
        asked = self.server.peer_state in (State.SENDING, State.DONE)
        return asked and self.server.own_state is State.IDLE and not self.server_gone

    @rule(status=st.sampled_from([100, 102, 103]))
    @precondition(lambda self: self.may_answer and self.interims < 5)
    def say_in_the_meantime(self, status: int) -> None:
        self.interims += 1
        self.to_client += self.server.send(Interim(status, make_lines([(b"Connection", b"close")])))

    @rule(
        status=st.sampled_from([200, 200, 404, 204, 205, 304]),
        option=OPTIONS,
        size=SIZES,
        shape=st.sampled_from(["whole", "declared", "streamed"]),
    )
    @precondition(lambda self: self.may_answer)
    def answer(self, status: int, option: bytes, size: int, shape: str) -> None:
        number = len(self.told)
        method = self.asked[number].start[0]
        tunnel = method == b"CONNECT" and 200 <= status < 300
        content = b"" if status in NO_CONTENT or tunnel else content_of(number, size)
        pairs = [(b"Connection", option)]
        if shape == "whole" or tunnel:
            self.to_client += self.server.send_whole(Response(status, make_lines(pairs)), content)
        else:
            if shape == "declared":
                pairs.append((b"Content-Length", b"%d" % len(content)))
            self.to_client += self.server.send(Response(status, make_lines(pairs), end=False))
            self.download = content
        self.told.append(Message((status,), b"" if method == b"HEAD" else content))
        assert self.server.reason is not None
        self.decided.append(self.server.reason)
        self.interims = 0
        self._settle_server()

    @rule(size=st.integers(1, 40))
    @precondition(lambda self: self.server.own_state is State.SENDING and not self.tunnel)
    def go_on_answering(self, size: int) -> None:
        piece, self.download = self.download[:size], self.download[size:]
        self.to_client += self.server.send(Data(piece, not self.download))
        self._settle_server()

    @rule(now=SELDOM)
    def drain(self, now: bool) -> None:
        if now:
            self.server.limit = Reason.DRAIN

    @property
    def tunnel(self) -> bool:
        return self.server.reason is Reason.TUNNEL

    def _settle_server(self) -> None:
        server = self.server
        while server.own_state is State.DONE and not self.server_gone:
            if not server.persists:
                server.end(Reason.DRAIN)  # the reason that was decided is kept
            elif server.peer_state is State.DONE:
                self.server_ear.hear(server.next_cycle())
            else:
                return
            self._see_whether_the_server_is_gone()
        self._see_whether_the_server_is_gone()

    def _see_whether_the_server_is_gone(self) -> None:
        self.server_gone = self.server.own_state is State.CLOSED

    # Both

    @rule(size=PIECES)
    def deliver_everything(self, size: int) -> None:
        while self.to_server or self.to_client:
            self.deliver_to_server(size)
            self.deliver_to_client(size)

    @rule()
    def go_through(self) -> None:
        """Complete everything that is under way."""
        for _ in range(len(self.asked) - len(self.client_ear.heard) + 1):
            if self.client.own_state is State.SENDING:
                self.go_on_uploading(10_000)
            self.deliver_everything(10_000)
            if self.may_answer:
                self.answer(200, b"", 19, "whole")
            if self.server.own_state is State.SENDING and not self.tunnel:
                self.go_on_answering(10_000)
        self.deliver_everything(10_000)
        self.deliver_to_client(1)  # and the end of the stream, if there is one

    # What must hold

    @invariant()
    def no_message_is_misread(self) -> None:
        heard = self.server_ear.heard
        assert heard == self.asked[: len(heard)]
        heard = self.client_ear.heard
        assert heard == self.told[: len(heard)]

    @invariant()
    def nobody_breaks_the_protocol(self) -> None:
        faults = {Reason.SURPLUS_OCTETS, Reason.BAD_SYNTAX, Reason.FAULTY_FRAMING, Reason.LOCAL_FAULT}
        assert self.client.reason not in faults
        assert self.server.reason not in faults

    def teardown(self) -> None:
        """Go through with everything: each request is answered, or the connection has ended."""
        if not hasattr(self, "server"):
            return
        self.go_through()
        assert self.client.persists != self.server_gone or self.half_closed or self.tunnel
        for method in (b"GET", b"POST", b"HEAD"):  # what persists really does
            if self.may_ask:
                self.ask(method, HTTP_11, b"", 19, "declared", False)
                self.go_through()
        assert len(self.client_ear.heard) == len(self.asked) or not self.client.persists
        self.no_message_is_misread()
        assert not self.cut_short or any(not reason.persists for reason in self.decided)


Pair.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestPair = pytest.mark.slow(
    pytest.mark.row("R89", "R91", "R92", "R93", "R94", "R100", "R103", "R117", "S5", "S6")(Pair.TestCase)
)
