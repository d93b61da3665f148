"""Who is asking: Basic and Digest authentication, a caller's own, and what .netrc says.

Authentication is a generator, like every flow of the client, so it serves threads and event loops alike:

    class Signed:
        def flow(self, request):                  # yields requests, is sent responses
            request.headers["X-Signature"] = sign(request)
            response = yield request              # returning ends it: this response is the answer
            if response.status == 401:
                request.headers["X-Signature"] = sign(request, response.headers["X-Challenge"])
                yield request

RFC 9110 §11, RFC 7617 (Basic).
"""

from __future__ import annotations

import base64
import logging
import netrc
import os
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable
from urllib.parse import unquote

from perdure.client.request import Request

if TYPE_CHECKING:
    from perdure.client.models import Message

logger = logging.getLogger("perdure.client")

Turns: TypeAlias = "Generator[Request, Message, None]"


@runtime_checkable
class Authentication(Protocol):
    """What `auth=` takes. `reads_content` may be set to True: then responses it is sent were read."""

    def flow(self, request: Request) -> Turns:
        """Yield the request to send, perhaps changed; be sent its response; perhaps yield it again."""


AuthenticationSource: TypeAlias = (
    tuple[str | bytes, str | bytes] | Authentication | Callable[[Request], Request | None]
)


class BasicAuth:
    """Basic authentication: says who and the password in the clear; for TLS, or for nothing that matters.

    RFC 7617.
    """

    __slots__ = ("value",)

    def __init__(self, user: str | bytes, password: str | bytes) -> None:
        """Make the header. Raises ValueError for a user with a colon (RFC 7617 §2)."""
        self.value = basic(user, password)

    def flow(self, request: Request) -> Turns:
        """Add the Authorization."""
        request.headers["Authorization"] = self.value
        yield request


class OwnAuth:
    """A callable that changes the request, and may return another one."""

    __slots__ = ("_change",)

    def __init__(self, change: Callable[[Request], Request | None]) -> None:
        self._change = change

    def flow(self, request: Request) -> Turns:
        """Let it change the request."""
        yield self._change(request) or request


def authentication_of(source: AuthenticationSource | None) -> Authentication | None:
    """Read what a caller gave as `auth=`.

    Raises:
        TypeError: for anything else than a pair, an object with `flow`, or a callable.
    """
    if source is None:
        return None
    if isinstance(source, tuple) and len(source) == 2:
        return BasicAuth(*source)
    if isinstance(source, Authentication):
        return source
    if callable(source):
        return OwnAuth(source)
    raise TypeError(
        "auth: expected (user, password), an object with flow(request), or a callable,"
        f" got {type(source).__name__}"
    )


def basic(user: str | bytes, password: str | bytes) -> str:
    """The value of Authorization for a user and a password.

    Raises:
        ValueError: for a colon in the user, which would part it there.

    RFC 7617 §2, in UTF-8 as §2.1 recommends.
    """
    name, secret = _octets(user), _octets(password)
    if b":" in name:
        raise ValueError("auth: a user with a colon cannot be told from its password (RFC 7617 §2)")
    return "Basic " + base64.b64encode(name + b":" + secret).decode("ascii")


def basic_of_url(user_information: str) -> str:
    """The same for the "user:password" of a URL, percent-encoding undone. RFC 3986 §3.2.1."""
    user, _, password = user_information.partition(":")
    return basic(unquote(user), unquote(password))


def netrc_logins(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What the file of $NETRC, or ~/.netrc, says: the value of Authorization by host.

    An entry "default" is passed over: it would show one password to every host. A file that cannot
    be read or understood is a warning and no entry; its words are not repeated.
    """
    path = environment.get("NETRC") or os.path.join(environment.get("HOME", ""), ".netrc")
    if not os.path.isfile(path):
        return {}
    try:
        hosts = netrc.netrc(path).hosts
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError) as error:
        where = f", line {error.lineno}" if isinstance(error, netrc.NetrcParseError) else ""
        logger.warning("%s%s cannot be read as a netrc file: %s", path, where, type(error).__name__)
        return {}
    return {
        host.lower(): basic(login, password or "")
        for host, (login, _, password) in hosts.items()
        if host != "default" and ":" not in login
    }


def _octets(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()
