"""Whether a connection persists, why, and what must be said about it.

This is the only place that decides. Callers describe one finished (or about to be sent)
exchange as a `Case`; `decide` answers with a `Reason`, never a bool; `announce` turns the
same Reason into the fields to send, so that what is decided and what is announced cannot
part (hyper #1614 came from two places).

`DECISION` is the order, as data: the first row that holds gives the Reason. `docs/persistence.md`
is rendered from it and from `Reason`. A Reason outlives the decision: it is also the word in
the log, the label of the metric and the sentence a user reads when a connection has ended.

RFC 9112 §9.3 (persistence), §9.6 (tear-down), appendix C.2.2 (HTTP/1.0 keep-alive).
"""

from __future__ import annotations

import enum

from perdure.core import keepalive
from perdure.core.fields import Facts
from perdure.core.framing import Framing, FramingKind
from perdure.core.reason import Reason


@enum.unique
class Role(enum.Enum):
    """Who we are on this connection."""

    CLIENT = "client"
    SERVER = "server"
    """An origin server, or a gateway toward its clients: it is the origin to them."""
    PROXY = "proxy"
    """A forward proxy toward its clients."""
