"""What is kept of a password: a hash that costs who guesses time.

    scrypt$ln=15,r=8,p=1$SALT$DIGEST      salt and digest in base64

Deriving the digest takes some 60 ms and 32 MiB, as it should.

RFC 7914 (scrypt).
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

SALT_OCTETS: Final = 16
DIGEST_OCTETS: Final = 32
COST: Final = 15
"""As a power of two: 32 MiB, some 60 ms. 2^14 is scrypt's own advice for log-ins, 2^17 is OWASP's."""
MOST_COST: Final = 18
_HASH: Final = re.compile(
    r"scrypt\$ln=([0-9]{1,2}),r=([0-9]{1,2}),p=([0-9]{1,2})\$([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+)"
)


class PasswordHash(NamedTuple):
    """What is kept of a password."""

    cost: int
    block_size: int
    parallel: int
    salt: bytes
    digest: bytes

    def matches(self, password: bytes) -> bool:
        """Whether this is the password. Takes as long as it is meant to; call it in a thread."""
        derived = _derive(password, self.salt, self.cost, self.block_size, self.parallel, len(self.digest))
        return hmac.compare_digest(derived, self.digest)

    def __str__(self) -> str:
        salt, digest = b64encode(self.salt).decode(), b64encode(self.digest).decode()
        return f"scrypt$ln={self.cost},r={self.block_size},p={self.parallel}${salt}${digest}"

    def __repr__(self) -> str:
        return "PasswordHash(...)"  # of which nothing belongs in a log


def hash_password(password: str, cost: int = COST) -> PasswordHash:
    """Make the hash of a password, with a salt of its own. RFC 7914."""
    salt = secrets.token_bytes(SALT_OCTETS)
    digest = _derive(password.encode(), salt, cost, 8, 1, DIGEST_OCTETS)
    return PasswordHash(cost, 8, 1, salt, digest)


def parse_hash(text: str) -> PasswordHash:
    """Read what `str(PasswordHash)` wrote.

    Raises:
        ValueError: it is none, or would cost more than a check may; the text is not shown.
    """
    match = _HASH.fullmatch(text)
    if match is None:
        raise ValueError("a hash of `perdure proxy --hash-password` expected, got something else")
    cost, block_size, parallel = int(match[1]), int(match[2]), int(match[3])
    if not (1 <= cost <= MOST_COST and 1 <= block_size <= 16 and 1 <= parallel <= 16):
        raise ValueError(f"a hash with ln={MOST_COST}, r=16, p=16 at most expected, got {text.split('$')[1]}")
    try:
        salt, digest = b64decode(match[4], validate=True), b64decode(match[5], validate=True)
    except binascii.Error:
        raise ValueError("a hash of `perdure proxy --hash-password` expected, got a damaged one") from None
    if len(digest) < SALT_OCTETS:  # a digest of a few octets fits many passwords
        raise ValueError("a hash of `perdure proxy --hash-password` expected, got a damaged one")
    return PasswordHash(cost, block_size, parallel, salt, digest)


def read_users(texts: Sequence[str]) -> Mapping[bytes, PasswordHash]:
    """Read members of `auth`: "NAME:HASH".

    Raises:
        ValueError: one of them is none, or a name comes twice; hashes are not shown.
    """
    users: dict[bytes, PasswordHash] = {}
    for text in texts:
        name, colon, hashed = text.partition(":")
        if not colon or not name:
            raise ValueError("NAME:HASH expected, got something without a name before a colon")
        if name.encode() in users:
            raise ValueError(f"each name once expected, got {name!r} twice")
        try:
            users[name.encode()] = parse_hash(hashed)
        except ValueError as error:
            raise ValueError(f"of {name!r}: {error}") from None
    return users


def nobody(others: Iterable[PasswordHash]) -> PasswordHash:
    """A hash that no password has, which costs as much as the dearest of the others."""
    cost = max((other.cost for other in others), default=1)
    return PasswordHash(cost, 8, 1, secrets.token_bytes(SALT_OCTETS), secrets.token_bytes(DIGEST_OCTETS))


def _derive(password: bytes, salt: bytes, cost: int, block_size: int, parallel: int, length: int) -> bytes:
    n = 1 << cost
    most = 256 * block_size * (n + parallel + 2)  # it needs half of that
    return hashlib.scrypt(password, salt=salt, n=n, r=block_size, p=parallel, maxmem=most, dklen=length)
