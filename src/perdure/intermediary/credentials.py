"""Who may use a proxy: Basic credentials, each pair of name and password checked once.

A check costs time and memory (`passwords`), so it happens in a thread beside the event loop, a few at a time.
What came of it is remembered under a keyed digest of the field value, so that neither the password nor how
long a comparison takes can be learned from what is remembered; also when it was wrong, or guessing the same
again and again would keep the processor busy. A name that nobody has is checked all the same.

RFC 7617 (Basic), RFC 9110 §11.7 (Proxy-Authenticate, Proxy-Authorization).
"""

from __future__ import annotations

import asyncio
import binascii
import hmac
import secrets
from base64 import b64decode
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from perdure.intermediary.passwords import PasswordHash, nobody

THREADS: Final = 2
MOST_WAITING: Final = 256
"""Pairs being checked at once; who comes then is told to try again."""
REMEMBERED: Final = 1024
"""Pairs that are right, and as many that are wrong, whose verdict is remembered; the oldest goes first."""


def parse_basic(value: bytes) -> tuple[bytes, bytes] | None:
    """Name and password of a field value `Basic ...`; None where it is something else. RFC 7617 §2."""
    scheme, _, encoded = value.partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        name, colon, password = b64decode(encoded.strip(b" "), validate=True).partition(b":")
    except binascii.Error:
        return None
    return (name, password) if colon else None


class Credentials:
    """The users of one proxy."""

    def __init__(self, users: Mapping[bytes, PasswordHash]) -> None:
        self._users = users
        self._nobody = nobody(users.values())
        self._key = secrets.token_bytes(32)
        self._right: dict[bytes, None] = {}
        self._wrong: dict[bytes, None] = {}  # apart, or guessing would drive out those who are right
        self._checks: dict[bytes, asyncio.Future[bool]] = {}
        self._threads = ThreadPoolExecutor(THREADS, "perdure-credentials")

    def known(self, value: bytes) -> bool | None:
        """The verdict on a value of Proxy-Authorization; None where it takes a `check`."""
        mark = self._mark(value)
        if mark in self._right:
            return True
        if mark in self._wrong or parse_basic(value) is None:
            return False
        return None

    def check(self, value: bytes) -> asyncio.Future[bool] | None:
        """Find the verdict out, for all who say the same meanwhile. None: too many are being checked."""
        mark = self._mark(value)
        checking = self._checks.get(mark)
        if checking is None:
            if len(self._checks) >= MOST_WAITING:
                return None
            loop = asyncio.get_running_loop()
            checking = self._checks[mark] = loop.run_in_executor(self._threads, self._verify, value)
            checking.add_done_callback(lambda done: self._checked(mark, done))
        return checking

    def retire(self) -> None:
        """Begin no further check; those who wait are told."""
        self._threads.shutdown(wait=False)

    def close(self) -> None:
        """Check nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _mark(self, value: bytes) -> bytes:
        return hmac.digest(self._key, value, "sha256")

    def _verify(self, value: bytes) -> bool:
        name, password = parse_basic(value) or (b"", b"")
        user = self._users.get(name)
        matches = (user or self._nobody).matches(password)
        return matches and user is not None

    def _checked(self, mark: bytes, done: asyncio.Future[bool]) -> None:
        del self._checks[mark]
        if done.cancelled() or done.exception() is not None:
            return
        verdicts = self._right if done.result() else self._wrong
        verdicts[mark] = None
        if len(verdicts) > REMEMBERED:
            del verdicts[next(iter(verdicts))]
