"""Two parsers that we did not write, asked about the same octets: llhttp (by httptools) and h11.

What is read is put in words that all three can say, so that they can be compared: one string for
each complete message, such as "POST / hello" or "200 hello", and then, if that is so, "refused",
or "incomplete" where the last message was begun and not ended. After a refusal only whole messages
count, since how much of the faulty one was seen depends on the parser's events.
"""

from __future__ import annotations

from collections.abc import Sequence

import h11
import httptools

from tests.core.harness import Content, End, Head, Outcome

REFUSED = "refused"
INCOMPLETE = "incomplete"


def words_of(start: str, content: bytes) -> str:
    """A message in words; content is escaped so that it is one readable line."""
    text = content.decode("latin-1").encode("unicode_escape").decode("ascii")
    return f"{start} {text}".rstrip()


class Account:
    """What a parser has said so far."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.start: str | None = None
        self.content = b""

    def begin(self, start: str) -> None:
        self.start, self.content = start, b""

    def end(self) -> None:
        if self.start is not None:
            self.messages.append(words_of(self.start, self.content))
        self.start = None

    def conclude(self, refused: bool) -> list[str]:
        """All that was said."""
        if refused:
            return [*self.messages, REFUSED]
        return [*self.messages, INCOMPLETE] if self.start is not None else self.messages


def words_of_ours(outcome: Outcome) -> list[str]:
    """What our own connection read, in the same words; interim responses count as messages."""
    account = Account()
    for event in outcome.events:
        if isinstance(event, Head):
            first, second = event.start
            is_request = isinstance(first, bytes)
            account.begin(f"{_text(first)} {_text(second)}" if is_request else str(first))
            if isinstance(first, int) and first < 200 and first != 101:
                account.end()
        elif isinstance(event, Content):
            account.content += event.octets
        elif isinstance(event, End):
            account.end()
    return account.conclude(outcome.status is not None)


def _text(octets: object) -> str:
    assert isinstance(octets, bytes)
    return octets.decode("latin-1")


# llhttp


class _Callbacks(Account):
    """What httptools calls; the parser is set afterwards, since each needs the other."""

    parser: httptools.HttpRequestParser | httptools.HttpResponseParser

    def __init__(self) -> None:
        super().__init__()
        self.target = b""

    def on_message_begin(self) -> None:
        self.target = b""

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_headers_complete(self) -> None:
        parser = self.parser
        if isinstance(parser, httptools.HttpResponseParser):
            self.begin(str(parser.get_status_code()))
        else:
            self.begin(f"{_text(parser.get_method())} {_text(self.target)}")

    def on_body(self, octets: bytes) -> None:
        self.content += octets

    def on_message_complete(self) -> None:
        self.end()


def _ask_llhttp(callbacks: _Callbacks, octets: bytes) -> list[str]:
    try:
        callbacks.parser.feed_data(octets)
    except httptools.HttpParserUpgrade:  # llhttp stops where HTTP stops
        return callbacks.conclude(False)
    except httptools.HttpParserError:
        return callbacks.conclude(True)
    return callbacks.conclude(False)


def llhttp_requests(octets: bytes) -> list[str]:
    """What llhttp reads as a server. It knows nothing of the responses, nor of the end of the stream."""
    callbacks = _Callbacks()
    callbacks.parser = httptools.HttpRequestParser(callbacks)
    return _ask_llhttp(callbacks, octets)


def llhttp_responses(octets: bytes) -> list[str]:
    """What llhttp reads as a client. It knows nothing of the requests, nor of the end of the stream."""
    callbacks = _Callbacks()
    callbacks.parser = httptools.HttpResponseParser(callbacks)
    return _ask_llhttp(callbacks, octets)


# h11


def h11_requests(octets: bytes, eof: bool) -> list[str]:
    """What h11 reads as a server that answers every request with an empty 200."""
    connection = h11.Connection(h11.SERVER)
    account = Account()
    _feed(connection, octets, eof)
    try:
        while _advance(connection, account):
            connection.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
            if connection.our_state is h11.SWITCHED_PROTOCOL:
                break
            connection.send(h11.EndOfMessage())
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                break
            connection.start_next_cycle()
    except h11.RemoteProtocolError:
        return account.conclude(True)
    return account.conclude(False)


def h11_responses(octets: bytes, methods: Sequence[bytes], eof: bool) -> list[str]:
    """What h11 reads as a client that has sent requests with these methods."""
    connection = h11.Connection(h11.CLIENT)
    account = Account()
    _feed(connection, octets, eof)
    try:
        for method in methods:
            target = b"x:80" if method == b"CONNECT" else b"/"
            connection.send(h11.Request(method=method, target=target, headers=[("Host", "x")]))
            connection.send(h11.EndOfMessage())
            if not _advance(connection, account):
                break
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                break
            connection.start_next_cycle()
    except h11.RemoteProtocolError:
        return account.conclude(True)
    return account.conclude(False)


def _feed(connection: h11.Connection, octets: bytes, eof: bool) -> None:
    connection.receive_data(octets)
    if eof:
        connection.receive_data(b"")


def _advance(connection: h11.Connection, account: Account) -> bool:
    """Take events up to the end of a message; False if it does not end."""
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            account.begin(f"{_text(event.method)} {_text(event.target)}")
        elif isinstance(event, (h11.Response, h11.InformationalResponse)):
            account.begin(str(event.status_code))
            if isinstance(event, h11.InformationalResponse):
                account.end()
        elif isinstance(event, h11.Data):
            account.content += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            account.end()
            return True
        else:  # NEED_DATA, PAUSED, ConnectionClosed
            return False
