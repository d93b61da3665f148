"""Where each side of a connection is in its message.

Two machines run side by side, one for what we send and one for what the peer sends:

       ┌───────────────── both DONE and the connection persists ─────────────────┐
       ▼                                                                         │
     IDLE ──Request | Response──▶ SENDING ──EndOfMessage, .end──▶ DONE ──────────┘
       │                             │                             │
       │ EndOfStream                 │ violation, EndOfStream      │ EndOfStream, or
       ▼                             ▼                             ▼ it does not persist
     CLOSED                        ERROR                         CLOSED

  IDLE     nothing of the next message was sent or read. Only here may a connection be pooled.
  SENDING  the head is through, content is not. Data is a self-loop; Interim loops on IDLE.
  DONE     every octet of the message is through. A pipelining client may send its next request.
  CLOSED   this side sends nothing more; what the other side is sending still counts.
  ERROR    sticky. A server may send one final response that announces the close.

RFC 9112 §9 (connection management), appendix on states: none, this is ours.
"""

from __future__ import annotations

import enum
from typing import Final

from perdure.core.events import EndOfMessage, EndOfStream, Request, Response


@enum.unique
class State(enum.Enum):
    """The state of one side."""

    IDLE = "idle"
    SENDING = "sending"
    DONE = "done"
    CLOSED = "closed"
    ERROR = "error"


TRANSITIONS: Final[dict[State, dict[type, State]]] = {
    State.IDLE: {Request: State.SENDING, Response: State.SENDING, EndOfStream: State.CLOSED},
    State.SENDING: {EndOfMessage: State.DONE, EndOfStream: State.ERROR},
    State.DONE: {Request: State.SENDING, EndOfStream: State.CLOSED},
    State.CLOSED: {},
    State.ERROR: {},
}
"""Event-driven steps. A head with `end` takes two at once; DONE → IDLE is `next_cycle`."""
