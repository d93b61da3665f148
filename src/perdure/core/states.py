"""Where each side of a connection is in its message.

Two machines run side by side, one for what we send and one for what the peer sends:

       ┌───────────────── both DONE and the connection persists ─────────────────┐
       ▼                                                                         │
     IDLE ──Request | Response──▶ SENDING ──EndOfMessage, .end──▶ DONE ──────────┤
       │                            │   ▲                          │             │
       │ EndOfStream    EndOfStream │   └─────────Request──────────┘             │ it does not
       ▼                            ▼                                            ▼ persist
     CLOSED                       ERROR ◀── any, by a violation                CLOSED

  IDLE     nothing of the next message was sent or read. Only here may a connection be pooled.
  SENDING  the head is through, content is not. Data is a self-loop; Interim loops on IDLE.
  DONE     every octet of the message is through. A pipelining client may send its next Request;
           an EndOfStream is remembered, and counts once the exchange is over.
  CLOSED   this side says nothing more. `Connection.end` leads here from everywhere.
  ERROR    sticky. A server may send one final response that announces the close.

RFC 9112 §9 (connection management); the states themselves are ours.
"""

from __future__ import annotations

import enum
from typing import Final

from perdure.core.events import Data, EndOfMessage, EndOfStream, Interim, Request, Response


@enum.unique
class State(enum.Enum):
    """The state of one side."""

    IDLE = "idle"
    SENDING = "sending"
    DONE = "done"
    CLOSED = "closed"
    ERROR = "error"


TRANSITIONS: Final[dict[State, dict[type, State]]] = {
    State.IDLE: {
        Request: State.SENDING,
        Response: State.SENDING,
        Interim: State.IDLE,
        EndOfStream: State.CLOSED,
    },
    State.SENDING: {Data: State.SENDING, EndOfMessage: State.DONE, EndOfStream: State.ERROR},
    State.DONE: {Request: State.SENDING, EndOfStream: State.DONE},
    State.CLOSED: {},
    State.ERROR: {},
}
"""Event-driven steps. An event with `end` takes two at once; what leaves DONE is `next_cycle`."""
