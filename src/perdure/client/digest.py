"""Digest authentication: proves that the caller knows the password, and does not send it.

A challenge is remembered, so that the next request is right at once and costs no round trip; a nonce
that has become stale costs one. Of several challenges the strongest is answered. RFC 7616.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from perdure.client.authentication import Turns
from perdure.client.errors import RemoteProtocolError
from perdure.client.request import Request
from perdure.client.urls import Origin, locate

if TYPE_CHECKING:
    from perdure.client.models import Message

ALGORITHMS: Final[dict[str, str]] = {"SHA-512-256": "sha512_256", "SHA-256": "sha256", "MD5": "md5"}
"""Those of RFC 7616 §3.3, strongest first; each also as "-sess"."""
REMEMBERED_CHALLENGES: Final = 64
_QUOTED: Final = frozenset({"username", "realm", "nonce", "uri", "response", "opaque", "cnonce"})
_SCHEME: Final = re.compile(r"(?:^|,)\s*([A-Za-z0-9!#$%&'*+.^_`|~-]+)\s+(?=[A-Za-z0-9*-]+\s*=)")
_PARAMETER: Final = re.compile(r'([A-Za-z0-9*-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))')


class Challenge:
    """What a server wants to be answered.

    Attributes:
        algorithm: as the server wrote it.
        strength: 0 for the strongest.
        parameters: realm, nonce, opaque, qop and others, by lower-case name.
        counter: how often its nonce was used.
    """

    def __init__(self, parameters: dict[str, str]) -> None:
        self.parameters = parameters
        self.algorithm = parameters.get("algorithm", "MD5")
        name = self.algorithm.upper().removesuffix("-SESS")
        self.strength = list(ALGORITHMS).index(name) if name in ALGORITHMS else len(ALGORITHMS)
        self.counter = itertools.count(1)
        self._hash_name = ALGORITHMS.get(name, "")

    @property
    def stale(self) -> bool:
        """True where only the nonce was too old: user and password may be right."""
        return self.parameters.get("stale", "").lower() == "true"

    @property
    def answerable(self) -> bool:
        """False where something is missing, or a kind of it is unknown here."""
        qualities = _members(self.parameters.get("qop", "auth"))
        known = bool({"auth", "auth-int"} & set(qualities))
        return bool(self._hash_name) and known and {"realm", "nonce"} <= self.parameters.keys()

    def hashed(self, text: str) -> str:
        """H() of RFC 7616 §3.3, in hexadecimal."""
        return hashlib.new(self._hash_name, text.encode(), usedforsecurity=False).hexdigest()

    def hashed_octets(self, octets: bytes) -> str:
        """The same of content."""
        return hashlib.new(self._hash_name, octets, usedforsecurity=False).hexdigest()


class DigestAuth:
    """Digest authentication with one user; share it, so that what it learned of a server is used again.

    RFC 7616.
    """

    def __init__(
        self, user: str, password: str, *, make_nonce: Callable[[], str] = lambda: os.urandom(16).hex()
    ) -> None:
        """Note the user.

        Args:
            make_nonce: makes the client's own nonce; for tests.
        """
        self._user = user
        self._password = password
        self._make_nonce = make_nonce
        self._known: dict[Origin, Challenge] = {}

    def flow(self, request: Request) -> Turns:
        """Answer the challenge remembered of this origin, or the one that comes.

        An answer to a challenge that has just come is final, unless the server calls its nonce stale.
        """
        origin = locate(request.url).origin
        known = self._known.get(origin)
        if known is not None:
            request.headers["Authorization"] = self._answer(known, request)
        response = yield request
        for attempt in range(2):
            challenge = _strongest(challenges_of(response)) if response.status == 401 else None
            if challenge is None or (attempt and not challenge.stale):
                return
            self._remember(origin, challenge)
            request.headers["Authorization"] = self._answer(challenge, request)
            response = yield request

    def _remember(self, origin: Origin, challenge: Challenge) -> None:
        if len(self._known) >= REMEMBERED_CHALLENGES:
            self._known.clear()
        self._known[origin] = challenge

    def _answer(self, challenge: Challenge, request: Request) -> str:
        """RFC 7616 §3.4."""
        given, hashed = challenge.parameters, challenge.hashed
        uri = locate(request.url).target.decode("ascii")
        quality = _quality(given.get("qop"), request)
        own, count = self._make_nonce(), f"{next(challenge.counter):08x}"
        secret = hashed(f"{self._user}:{given['realm']}:{self._password}")
        if challenge.algorithm.lower().endswith("-sess"):
            secret = hashed(f"{secret}:{given['nonce']}:{own}")
        what = f"{request.method}:{uri}"
        if quality == "auth-int":
            what += ":" + challenge.hashed_octets(request.content.whole or b"")
        middle = f"{given['nonce']}:{count}:{own}:{quality}" if quality else given["nonce"]
        user_hash = given.get("userhash", "").lower() == "true"
        values = {
            **_user_written(hashed(f"{self._user}:{given['realm']}") if user_hash else self._user),
            "realm": given["realm"],
            "nonce": given["nonce"],
            "uri": uri,
            "response": hashed(f"{secret}:{middle}:{hashed(what)}"),
            "algorithm": challenge.algorithm if "algorithm" in given else None,
            "opaque": given.get("opaque"),
            "qop": quality,
            "nc": count if quality else None,
            "cnonce": own if quality or challenge.algorithm.lower().endswith("-sess") else None,
            "userhash": "true" if user_hash else None,
        }
        return "Digest " + ", ".join(_written(values))


def challenges_of(response: Message) -> list[Challenge]:
    """The Digest challenges of a response. RFC 9110 §11.6.1 (several may share a line)."""
    found = []
    for value in response.headers.get_list("www-authenticate"):
        schemes = list(_SCHEME.finditer(value))
        ends = [*[match.start() for match in schemes], len(value)][1:]
        for match, end in zip(schemes, ends, strict=False):  # of a scheme without parameters there is none
            if match[1].lower() == "digest":
                found.append(Challenge(_parameters(value[match.end() : end])))
    return found


def _strongest(challenges: Iterable[Challenge]) -> Challenge | None:
    return min((each for each in challenges if each.answerable), key=lambda each: each.strength, default=None)


def _parameters(text: str) -> dict[str, str]:
    return {
        match[1].lower(): match[3] if match[2] is None else re.sub(r"\\(.)", r"\1", match[2])
        for match in _PARAMETER.finditer(text)
    }


def _members(text: str) -> list[str]:
    return [member.strip().lower() for member in text.split(",")]


def _quality(offered: str | None, request: Request) -> str | None:
    """The quality of protection to use; None toward a server of RFC 2069, which offers none."""
    if offered is None:
        return None
    members = _members(offered)
    if "auth" in members:
        return "auth"
    if request.content.whole is None:
        raise RemoteProtocolError("the server wants a digest of the content (auth-int), which is not at hand")
    return "auth-int"


def _user_written(user: str) -> dict[str, str]:
    """RFC 7616 §3.4: beyond ASCII the name goes in the extended notation of RFC 8187."""
    return {"username": user} if user.isascii() else {"username*": "UTF-8''" + quote(user, safe="")}


def _written(values: dict[str, str | None]) -> Iterator[str]:
    for name, value in values.items():
        if value is None:
            continue
        if name in _QUOTED:
            escaped = value.replace("\\", "\\\\").replace('"', '\\"')
            yield f'{name}="{escaped}"'
        else:
            yield f"{name}={value}"
