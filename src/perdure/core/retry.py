"""Whether a request that got no response may be sent again.

The race is old: a server closes an idle connection at the very moment a request is written on
it. The client sees a close, and cannot tell whether the request was read. It may send it again
only if that cannot apply it twice.

Rule: reused ∧ no response octet ∧ (nothing written, or idempotent, or `Idempotency-Key`) ∧
replayable; once, and then on a connection that was just dialled (`Ledger.lease_fresh`). `RULE`
is this order, as data; the first row that holds gives the `Verdict`. The same rule serves a
user agent (SHOULD NOT) and an intermediary (MUST NOT), so that neither sends a request twice
that could be applied twice.

A 408 response on a reused connection is an idle close that was announced: it counts as no
response octet (`Failure.answered` is False), and a request that may not be repeated gets the
408 itself. RFC 9110 §15.5.9.

RFC 9110 §9.2.2 (idempotent methods), RFC 9112 §9.3.1 (retrying), §9.3.2 (pipelined requests).
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from perdure.core.reason import Reason

IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})
"""Methods whose repetition has the effect of one (RFC 9110 §9.2.2). Case-sensitive (§9.1)."""


class VerdictRow(NamedTuple):
    """One row of `Verdict`."""

    allowed: bool
    """True where the request may be sent again."""
    section: str
    sentence: str
    """What a user reads."""


@enum.unique
class Verdict(enum.Enum):
    """Whether a request may be sent again, and why (not)."""

    #                           allowed  section        sentence
    ALREADY_RETRIED = VerdictRow(False, "9110 §9.2.2", "it was already sent again once")
    ANSWERED = VerdictRow(False, "9112 §9.3.1", "octets of a response had arrived")
    NOT_REUSED = VerdictRow(False, "9112 §9.3.1", "the connection was fresh, so it was not an idle close")
    NOT_REPLAYABLE = VerdictRow(False, "9112 §9.3.1", "its content cannot be produced again")
    NOTHING_WRITTEN = VerdictRow(True, "9110 §9.2.2", "no octet of it was written")
    IDEMPOTENT_METHOD = VerdictRow(True, "9110 §9.2.2", "its method is idempotent")
    IDEMPOTENCY_KEY = VerdictRow(True, "9110 §9.2.2", "it carries an Idempotency-Key")
    NOT_IDEMPOTENT = VerdictRow(False, "9110 §9.2.2", "it may have been applied; twice is not as once")

    @property
    def allowed(self) -> bool:
        """True where the request may be sent again."""
        return self.value.allowed

    def __str__(self) -> str:
        return f"{self.value.sentence} ({self.value.section})"


@dataclass(slots=True)
class Failure:
    """One request whose connection ended before its response began, or soon after.

    Attributes:
        method: octets, such as b"GET".
        reused: `Entry.reused` of its connection; for a pipelined request also True when an
            earlier request on the same connection was answered.
        octets_written: how many octets of the request the operating system took.
        answered: an octet of its response arrived; a 408 on a reused connection is none.
        replayable: its content, if any, can be produced again from its start.
        has_idempotency_key: the request carries an `Idempotency-Key` field.
        retried: it is already the automatic repetition.
    """

    method: bytes
    reused: bool
    octets_written: int
    answered: bool = False
    replayable: bool = True
    has_idempotency_key: bool = False
    retried: bool = False


RULE: tuple[tuple[Verdict, Callable[[Failure], bool]], ...] = (
    (Verdict.ALREADY_RETRIED, lambda failure: failure.retried),
    (Verdict.ANSWERED, lambda failure: failure.answered),
    (Verdict.NOT_REUSED, lambda failure: not failure.reused),
    (Verdict.NOT_REPLAYABLE, lambda failure: not failure.replayable),
    (Verdict.NOTHING_WRITTEN, lambda failure: failure.octets_written == 0),
    (Verdict.IDEMPOTENT_METHOD, lambda failure: failure.method in IDEMPOTENT),
    (Verdict.IDEMPOTENCY_KEY, lambda failure: failure.has_idempotency_key),
    (Verdict.NOT_IDEMPOTENT, lambda failure: True),
)
"""The decision, in order: the first row that holds gives the verdict."""


def may_retry(failure: Failure) -> Verdict:
    """Say whether a failed request may be sent again automatically, and why (not).

    Args:
        failure: what is known of the request and of its connection.

    Returns:
        The first `Verdict` of `RULE` that holds. Where `allowed`, repeat it once, on a
        connection that was just dialled, and set `retried` from then on.

    RFC 9110 §9.2.2, RFC 9112 §9.3.1 and §9.3.2.
    """
    return next(verdict for verdict, holds in RULE if holds(failure))


def is_repeatable(method: bytes, has_idempotency_key: bool, replayable: bool) -> bool:
    """Say whether a request could be sent again after it was written: what a lease asks.

    Args:
        method: octets, such as b"GET".
        has_idempotency_key: the request carries an `Idempotency-Key` field.
        replayable: its content, if any, can be produced again from its start.

    Returns:
        True where `may_retry` would allow it on a stale connection, whatever was written.

    RFC 9110 §9.2.2.
    """
    return replayable and (method in IDEMPOTENT or has_idempotency_key)


def reason_of_end(status: int, reused: bool, reason: Reason) -> Reason:
    """Say what ended a connection with a whole response: an idle close may be dressed as one.

    Args:
        status: of the final response, handed on to whoever asked.
        reused: `Entry.reused` of the connection.
        reason: what `persistence.decide` said.

    Returns:
        IDLE_408 where the server had given the connection up before it saw the request: `Ledger.release`
        must not take the answer for a proof that such a connection lives. `reason` otherwise.

    RFC 9110 §15.5.9.
    """
    return Reason.IDLE_408 if status == 408 and reused and not reason.persists else reason
