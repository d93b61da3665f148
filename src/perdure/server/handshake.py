"""The opening handshake of a WebSocket: what is wrong with one, and what is agreed in it.

Pure functions over a request; who answers is `websocket`.

RFC 6455 §4.2 (opening handshake), §11.3; RFC 9110 §7.8 (Upgrade).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from wsproto.utilities import generate_accept_token

from perdure.core import FieldLine, Request, make_line
from perdure.server.deflate import Deflate

UPGRADE: Final = make_line(b"Upgrade", b"websocket")
VERSION: Final = make_line(b"Sec-WebSocket-Version", b"13")
KEY: Final = re.compile(rb"[A-Za-z0-9+/]{22}==")
"""Sixteen octets in base64."""


def wants_websocket(request: Request) -> bool:
    """True if a request asks to become a WebSocket. RFC 6455 §4.2.1."""
    return request.method == b"GET" and b"websocket" in request.facts.upgrade


def handshake_fault(request: Request) -> tuple[int, str, Sequence[FieldLine]] | None:
    """What is wrong with a handshake: (status, sentence, fields of the answer), or None.

    RFC 6455 §4.2.1, §4.4.
    """
    if _values(request, b"sec-websocket-version") != [b"13"]:
        return 426, "the WebSocket version spoken here is 13 (RFC 6455 §4.4)", (VERSION, UPGRADE)
    keys = _values(request, b"sec-websocket-key")
    if len(keys) != 1 or KEY.fullmatch(keys[0]) is None:
        return 400, "exactly one Sec-WebSocket-Key of 24 characters is expected (RFC 6455 §4.2.1)", ()
    if not request.end:
        return 400, "a WebSocket handshake has no content (RFC 6455 §4.1)", ()
    return None


def offered_subprotocols(request: Request) -> list[str]:
    """The subprotocols that the client speaks, the one it likes best first. RFC 6455 §11.3.4."""
    offered = b",".join(_values(request, b"sec-websocket-protocol")).decode("latin-1")
    return [word for part in offered.split(",") if (word := part.strip())]


def accept_fields(
    request: Request, subprotocol: str | None, most: int
) -> tuple[list[FieldLine], Deflate | None]:
    """The fields of the 101, and the compression that they agree to, for messages of `most` octets.

    Raises:
        ValueError: the client did not offer that subprotocol (RFC 6455 §4.2.2).
    """
    token = generate_accept_token(_values(request, b"sec-websocket-key")[0])
    lines = [UPGRADE, make_line(b"Sec-WebSocket-Accept", token)]
    if subprotocol is not None:
        offered = offered_subprotocols(request)
        if subprotocol not in offered:
            raise ValueError(f"subprotocol {subprotocol!r} was not offered: {offered} (RFC 6455 §4.2.2)")
        lines.append(make_line(b"Sec-WebSocket-Protocol", subprotocol.encode("latin-1")))
    offers = b",".join(_values(request, b"sec-websocket-extensions")).decode("latin-1")
    deflate = next((agreed for offer in offers.split(",") if (agreed := Deflate.agree(offer, most))), None)
    if deflate is not None:
        lines.append(make_line(b"Sec-WebSocket-Extensions", deflate.parameters.encode("ascii")))
    return lines, deflate


def _values(request: Request, name: bytes) -> list[bytes]:
    return [line.value for line in request.fields if line.lowered == name]
