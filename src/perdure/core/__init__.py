"""The protocol: HTTP/1.x messages and persistence, without I/O, clock, log or thread.

Public, for anybody to build on: the sans-I/O connections, the decision and its reasons, the
framing rules, the Keep-Alive field and the pool's ledger.
"""

from __future__ import annotations

from perdure.core.client_connection import ClientConnection
from perdure.core.connection import Connection
from perdure.core.errors import Error, LocalViolation, ProtocolViolation, RemoteViolation
from perdure.core.events import Data, EndOfMessage, EndOfStream, Event, Interim, Request, Response
from perdure.core.fields import HTTP_10, HTTP_11, Facts, FieldLine, make_line, make_lines
from perdure.core.framing import Framing, FramingKind
from perdure.core.keepalive import Hints, parse_keep_alive
from perdure.core.limits import CLIENT_LIMITS, SERVER_LIMITS, Limits
from perdure.core.persistence import Announce, Case, Role, decide
from perdure.core.reason import Reason
from perdure.core.server_connection import ServerConnection
from perdure.core.states import State
from perdure.core.terms import Terms

__all__ = [
    "CLIENT_LIMITS",
    "HTTP_10",
    "HTTP_11",
    "SERVER_LIMITS",
    "Announce",
    "Case",
    "ClientConnection",
    "Connection",
    "Data",
    "EndOfMessage",
    "EndOfStream",
    "Error",
    "Event",
    "Facts",
    "FieldLine",
    "Framing",
    "FramingKind",
    "Hints",
    "Interim",
    "Limits",
    "LocalViolation",
    "ProtocolViolation",
    "Reason",
    "RemoteViolation",
    "Request",
    "Response",
    "Role",
    "ServerConnection",
    "State",
    "Terms",
    "decide",
    "make_line",
    "make_lines",
    "parse_keep_alive",
]
