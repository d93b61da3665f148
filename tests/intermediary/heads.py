"""Literal heads, parsed for tests of what becomes of them."""

from __future__ import annotations

from collections.abc import Sequence

from perdure.client.settings import ClientSettings
from perdure.core import FieldLine, Request, Response, make_line
from perdure.core.fields import parse_line
from perdure.core.heads import parse_request_line, parse_status_line
from perdure.intermediary.client_hop import ClientHop
from perdure.intermediary.forwarding import Forwarding
from perdure.intermediary.origin_side import OriginSide
from perdure.intermediary.origins import OriginServer, parse_origin
from perdure.wire.memory import MemoryNetwork

PLAIN = Forwarding(forwarded="leave")
HOP = ClientHop(b"192.0.2.1", b"http")
DATE = make_line(b"Date", b"Sun, 06 Nov 1994 08:49:37 GMT")


def lines_of(text: bytes) -> list[FieldLine]:
    return [parse_line(line) for line in text.split(b"\r\n") if line]


def request(head: bytes, end: bool = True) -> Request:
    start, _, rest = head.partition(b"\r\n")
    method, target, version = parse_request_line(start)
    return Request(method, target, lines_of(rest), version, end=end)


def response(head: bytes) -> Response:
    start, _, rest = head.partition(b"\r\n")
    code, phrase, version = parse_status_line(start)
    return Response(code, lines_of(rest), phrase, version)


def octets(lines: Sequence[FieldLine]) -> bytes:
    return b"".join(line.octets for line in lines)


def origin(url: str) -> OriginServer:
    """An origin that nobody has connected to."""
    return OriginServer(*parse_origin(url), OriginSide(ClientSettings(), PLAIN, MemoryNetwork()))
