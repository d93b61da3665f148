"""Why a connection persists, or what ended it: one row each.

A `Reason` is never a bool. Its name is the word in the log and the label of the metric, its
sentence is what a user reads, its section is where the rule stands. `docs/persistence.md` is
rendered from this table.

RFC 9112 §9 (connection management).
"""

from __future__ import annotations

import enum
from typing import NamedTuple


class Rule(NamedTuple):
    """One row of `Reason`."""

    error: bool
    """True where somebody broke the protocol or an exchange was cut short."""
    section: str
    """The RFC section, or the source of the practice."""
    sentence: str
    """What a user reads."""


@enum.unique  # equal rows would silently become aliases
class Reason(enum.Enum):
    """Why a connection persists, or what ended it: log word, metric label, docs row."""

    # It persists.              error  section          sentence
    PERSISTS_11 = Rule(False, "9112 §9.3", "HTTP/1.1 default")
    PERSISTS_10 = Rule(False, "9112 §9.3", "HTTP/1.0 with the keep-alive option")

    # Decided by the messages of the exchange, in the order of DECISION.
    TUNNEL = Rule(False, "9110 §9.3.6", "the connection became a tunnel")
    FAULTY_FRAMING = Rule(True, "9112 §6.1", "framing fields contradict each other or the version")
    CLOSE_RECEIVED = Rule(False, "9112 §9.6", "the peer sent the close option")
    CLOSE_SENT = Rule(False, "9112 §9.6", "we sent the close option because we were asked to")
    CLOSE_DELIMITED = Rule(False, "9112 §6.3", "the end of the connection is the end of the message")
    UNREAD_CONTENT = Rule(False, "9112 §9.3", "request content was left unread")
    HTTP_10 = Rule(False, "9112 §9.3", "HTTP/1.0 without the keep-alive option")
    PROXY_10 = Rule(False, "9112 §9.3", "a proxy does not persist with an HTTP/1.0 client")
    HTTP_10_IGNORED = Rule(False, "9112 C.2.2", "configured to ignore the keep-alive option of HTTP/1.0")

    # Our own limits.
    MAX_REQUESTS = Rule(False, "9112 §9.5", "the most requests per connection was reached")
    MAX_AGE = Rule(False, "9112 §9.5", "the greatest age of a connection was reached")
    DRAIN = Rule(False, "9112 §9.6", "shutting down")
    PRESSURE = Rule(False, "9112 §9.5", "least recently used among too many connections")
    IDLE_LIMIT = Rule(False, "9112 §9.5", "idle limit reached")
    IDLE_HINT = Rule(False, "9112 C.2.2", "idle nearly as long as the peer's Keep-Alive timeout hint")
    IDLE_LEARNED = Rule(False, "9112 §9.5", "idle nearly as long as the limit learned of this origin")
    HINT_MAX = Rule(False, "9112 C.2.2", "the peer's Keep-Alive max hint is used up")
    POOL_CLOSED = Rule(False, "9112 §9.5", "the pool was closed")
    NOT_ASKED = Rule(False, "9112 C.2.2", "keep-alive is not asked for where it led to a hang before")
    SIBLING_STALE = Rule(False, "9112 §9.3.1", "a connection of the same age had gone stale")
    OWNER_GONE = Rule(False, "9110 §7.6", "the client to whom alone it belonged has gone")
    ADDRESS_GONE = Rule(False, "9112 §9.5", "the address is no longer one of the origin's")

    QUEUE_FULL = Rule(False, "9112 §9.4", "too many requests wait for a connection already")

    # The peer ended it.
    PEER_CLOSED = Rule(False, "9112 §9.5", "the peer closed it while idle")
    PEER_RESET = Rule(True, "9112 §9.5", "the peer reset it")
    RELAY_SUSPECTED = Rule(True, "9112 C.2.2", "no answer where keep-alive was agreed: a blind relay, likely")
    IDLE_408 = Rule(False, "9110 §15.5.9", "the peer announced its idle limit with a 408 response")
    INCOMPLETE = Rule(True, "9112 §8", "the peer closed it in the middle of a message")
    SURPLUS_OCTETS = Rule(True, "9112 §9.2", "octets arrived that belong to no outstanding request")

    # Time ran out, by our clock.
    CONNECT_TIMEOUT = Rule(True, "9112 §9.5", "connecting took too long")
    HEAD_TIMEOUT = Rule(True, "9110 §15.5.9", "the head of a request took too long")
    BODY_TIMEOUT = Rule(True, "9110 §15.5.9", "request content came too slowly")
    READ_TIMEOUT = Rule(True, "9112 §9.5", "no octet of the response came in time")
    WRITE_TIMEOUT = Rule(True, "9112 §9.5", "the peer took no octet in time")
    DRAIN_TIMEOUT = Rule(True, "9112 §9.5", "the grace of a shutdown ran out")

    # Somebody broke something.
    CONNECT_FAILED = Rule(True, "9110 §7.3.3", "connecting failed")
    BAD_SYNTAX = Rule(True, "9112 §2.2", "octets that are not HTTP")
    BAD_VERSION = Rule(True, "9110 §15.6.6", "a version of HTTP that is not spoken here")
    TOO_LARGE = Rule(True, "9110 §15.5.14", "a message larger than allowed")
    EXPECTATION_FAILED = Rule(True, "9110 §15.5.18", "an expectation that cannot be met")
    CONNECT_REJECTED = Rule(True, "9931 §5", "a CONNECT request was rejected")
    UPGRADE_REJECTED = Rule(True, "9931 §3.1", "octets came behind an upgrade that was not granted")
    TUNNEL_BROKEN = Rule(True, "9110 §9.3.6", "the other side of the tunnel broke off")
    EARLY_RESPONSE = Rule(False, "9112 §9.5", "the final response came before the request was sent")
    ABANDONED = Rule(False, "9112 §9.3", "the response was abandoned before its end")
    LOCAL_FAULT = Rule(True, "9112 §6.3", "our own side sent a message of the wrong length or form")
    CANCELLED = Rule(False, "9112 §9.5", "the caller cancelled the exchange")

    @property
    def word(self) -> str:
        """The log word and metric label, such as "idle_limit"."""
        return self.name.lower()

    @property
    def persists(self) -> bool:
        """True of the two Reasons for which the connection goes on."""
        return self is Reason.PERSISTS_11 or self is Reason.PERSISTS_10

    def __str__(self) -> str:
        return f"{self.value.sentence} ({self.value.section})"
