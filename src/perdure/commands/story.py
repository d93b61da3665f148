"""The story that -v and -vv tell of exchanges and their connections, on standard error.

    -v     connection 1: request 1: GET http://127.0.0.1:8000/ (just opened)
           connection 1: 200 OK, 12 octets in 1.42 ms; persists
    -vv    the heads too: "connection 1: > GET / HTTP/1.1", "connection 1: < HTTP/1.1 200 OK"

The beginning and the end of each connection is told by the pool itself.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from typing import Final

from perdure.client.aio import AsyncClient
from perdure.client.loop_wire import ClientWire
from perdure.client.models import Message, Response
from perdure.client.urls import Origin
from perdure.commands.report import Row
from perdure.core import ClientConnection

logger = logging.getLogger("perdure.commands")

HIDDEN: Final = b"(not shown)"
SECRET: Final = (b"authorization:", b"proxy-authorization:")
"""Fields whose value is not told."""
COOKIES: Final = {b"cookie:": 0, b"set-cookie:": 1}
"""Fields of cookies, whose names are told without their values; how many a field holds, 0 for any number."""
COOKIE_VALUE: Final = re.compile(rb"=[^;]*")


def tell_exchanges(number: int, response: Response) -> None:
    """What was asked and what came, redirects and challenges before the last response included."""
    for earlier in (*response.history, response):
        tell_request(number, earlier.request.method, earlier)
        tell_interims(earlier)
        if earlier is not response:
            logger.info(
                "connection %d: %d %s; asks again",
                earlier.connection.id,
                earlier.status,
                earlier.reason_phrase,
            )


def tell_request(number: int, method: str, response: Message) -> None:
    """Which connection a request went over."""
    used = response.connection
    how = f"after {used.idle_seconds:.3f} s idle, use {used.uses}" if used.reused else "just opened"
    logger.info("connection %d: request %d: %s %s (%s)", used.id, number, method, response.url, how)


def tell_head(connection: int, octets: bytes) -> None:
    """The head of a request, as it is sent; `octets` begin with it."""
    head = octets.partition(b"\r\n\r\n")[0].split(b"\r\n")
    _tell_lines(connection, ">", head)


def tell_interims(response: Message) -> None:
    """The heads of what came before the final response (1xx), and its own."""
    for interim in response.interims:
        head = start_line(response.http_version, interim.status, interim.reason_phrase or b"")
        _tell_lines(response.connection.id, "<", [head, *(line.octets for line in interim.fields)])
    _tell_lines(response.connection.id, "<", head_of(response).split(b"\r\n"))


def tell_response(row: Row, response: Response) -> None:
    """What came, and what becomes of the connection."""
    fate = "persists" if row.ends is None else f"ends: {row.ends}"
    logger.info(
        "connection %d: %d %s, %d octets in %.2f ms; %s",
        row.connection,
        response.status,
        response.reason_phrase,
        row.octets,
        row.seconds * 1000,
        fate,
    )


def head_of(response: Message) -> bytes:
    """The head of a response, as received but for its line ends."""
    start = start_line(response.http_version, response.status, response.reason_phrase.encode("latin-1"))
    return start + b"".join(line.octets for line in response.fields) + b"\r\n"


def start_line(version: str, status: int, phrase: bytes) -> bytes:
    """The first line of a response."""
    return b"%s %d %s\r\n" % (version.encode("ascii"), status, phrase)


def _tell_lines(connection: int, direction: str, lines: Iterable[bytes]) -> None:
    if not logger.isEnabledFor(logging.DEBUG):
        return
    for line in map(_without_secret, lines):
        text = line.rstrip(b"\r\n").decode("latin-1")
        if text:
            logger.debug("connection %d: %s %s", connection, direction, text)


class TalkativeClient(AsyncClient):
    """A client that tells of the heads that it sends."""

    def _make_wire(self, origin: Origin) -> ClientWire:
        return TalkativeWire(ClientConnection(self._limits, self._terms), self._pool)


class TalkativeWire(ClientWire):
    """Tells of the first octets of each use, which are a head."""

    __slots__ = ("_told",)

    _told: int

    def hand_over(self, octets: bytes) -> None:
        """Write, as `ClientWire.hand_over`."""
        uses = self.entry.uses
        if uses != getattr(self, "_told", None):
            self._told = uses
            tell_head(self.entry.number, octets)
        super().hand_over(octets)


def _without_secret(line: bytes) -> bytes:
    """A line of a head as it is told: credentials are not, cookies among them."""
    name = line[: line.find(b":") + 1]
    lowered = name.lower()
    if lowered in SECRET:
        return b"%b %b" % (name, HIDDEN)
    if lowered in COOKIES:
        return name + COOKIE_VALUE.sub(b"=" + HIDDEN, line[len(name) :].rstrip(b"\r\n"), COOKIES[lowered])
    return line
