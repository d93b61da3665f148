"""Cookies of a client: a jar that remembers what servers set and says what goes back to them.

The rules are those of `http.cookiejar`, which has kept them for twenty years: domains, paths, Secure,
expiry. It knows no list of public suffixes: a cookie for two labels such as co.uk is refused, one for
a longer suffix (github.io) is not. A cookie without a domain, as `cookies={"a": "b"}` makes it, goes to
every origin that is asked for by name, and to none that a redirect leads to.

RFC 6265.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from email.message import Message
from http.cookiejar import Cookie, CookieJar, DefaultCookiePolicy
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from perdure.core import FieldLine

SET_COOKIE = b"set-cookie"
CookieSource: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]] | CookieJar


def sets_cookies(fields: Sequence[FieldLine]) -> bool:
    """Whether a response head sets a cookie."""
    for line in fields:  # noqa: SIM110  # half the cost of any(), for each response
        if line[1] == SET_COOKIE:
            return True
    return False


class Cookies(MutableMapping[str, str]):
    """Cookies by name. Threads may share it.

    Attributes:
        jar: the `http.cookiejar.CookieJar` that holds them, or the caller's own (to load and save).
    """

    __slots__ = ("jar",)
    jar: CookieJar

    def __init__(self, source: CookieSource | None = None) -> None:
        """Take a caller's cookies; a `CookieJar` is used itself, so that what is set lands in it."""
        if isinstance(source, Cookies):
            source = source.jar
        if isinstance(source, CookieJar):
            self.jar = source
            return
        strict = DefaultCookiePolicy.DomainStrictNonDomain  # 6265 §5.3: without Domain, for that host alone
        self.jar = CookieJar(DefaultCookiePolicy(strict_domain=True, strict_ns_domain=strict))
        for name, value in _pairs(source):
            self.set(name, value)

    def set(self, name: str, value: str, domain: str = "", path: str = "/") -> None:
        """Set a cookie; without a domain it is for every origin asked for by name.

        Raises:
            ValueError: for a name or value that cannot stand in a Cookie field (RFC 6265 §4.1.1).
        """
        if (
            not name
            or any(mark in name for mark in "=;, \t\r\n\0")
            or any(mark in value for mark in ";\r\n\0")
        ):
            raise ValueError(f"cookie {name!r}: expected a token, and a value without ; and line ends")
        self.jar.set_cookie(_cookie(name, value, domain, path))

    def take(self, url: str, fields: Sequence[FieldLine]) -> None:
        """Keep what a response to a URL sets. RFC 6265 §5.3."""
        if sets_cookies(fields):
            self.jar.extract_cookies(_Received(fields), _Asking(url))  # type: ignore[arg-type]  # all it asks for

    def header_for(self, url: str, others: Mapping[str, str] | None = None, away: bool = False) -> str:
        """The value of Cookie for a URL; "" for none. RFC 6265 §5.4.

        Args:
            others: to send besides; they replace those of the same name.
            away: a redirect led to another origin, so cookies without a domain stay behind.
        """
        found = _sent_to(self.jar, url)
        for pair in _sent_to(self._homeless(), url) if away else ():
            if pair in found:  # once: a server may have set one of the same name, even of the same value
                found.remove(pair)
        own = others or {}
        kept = [(name, value) for name, value in found if name not in own]
        return "; ".join(f"{name}={value}" for name, value in [*kept, *own.items()])

    def _homeless(self) -> CookieJar:
        found = CookieJar()
        for cookie in self.jar:
            if not cookie.domain:
                found.set_cookie(cookie)
        return found

    def __getitem__(self, name: str) -> str:
        for cookie in self.jar:
            if cookie.name == name:
                return cookie.value or ""
        raise KeyError(name)

    def __setitem__(self, name: str, value: str) -> None:
        self.set(name, value)

    def __delitem__(self, name: str) -> None:
        found = [cookie for cookie in self.jar if cookie.name == name]
        if not found:
            raise KeyError(name)
        for cookie in found:
            self.jar.clear(cookie.domain, cookie.path, cookie.name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(cookie.name for cookie in self.jar))

    def __len__(self) -> int:
        return len({cookie.name for cookie in self.jar})

    def __bool__(self) -> bool:
        return any(True for _ in self.jar)

    def __repr__(self) -> str:
        return f"<Cookies {sorted(self)}>"  # values are secrets


def _sent_to(jar: CookieJar, url: str) -> list[tuple[str, str]]:
    """(name, value) of what a jar sends to a URL, in order."""
    asking = _Asking(url)
    jar.add_cookie_header(asking)  # type: ignore[arg-type]  # all that it asks for
    pairs = (pair.partition("=") for pair in asking.cookie.split("; ") if pair)
    return [(name, value) for name, _, value in pairs]


class _Asking:
    """A request, as `http.cookiejar` looks at one."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._url = url
        self.type = parts.scheme
        self.host = self.origin_req_host = parts.hostname or ""
        self.unverifiable = False
        self.cookie = ""

    def get_full_url(self) -> str:
        return self._url

    def get_header(self, name: str, default: str | None = None) -> str | None:
        return default

    def has_header(self, name: str) -> bool:
        return False

    def add_unredirected_header(self, name: str, value: str) -> None:
        if name == "Cookie":  # it may add the Cookie2 of RFC 2965, which nobody reads
            self.cookie = value


class _Received:
    """A response, as `http.cookiejar` looks at one."""

    def __init__(self, fields: Sequence[FieldLine]) -> None:
        self._message = Message()
        for line in fields:
            if line.lowered == SET_COOKIE:
                self._message["Set-Cookie"] = line.value.decode("latin-1")

    def info(self) -> Any:
        return self._message


def _pairs(source: CookieSource | None) -> Iterable[tuple[str, str]]:
    if source is None:
        return ()
    return source.items() if isinstance(source, Mapping) else source  # type: ignore[return-value]  # no jar here


def _cookie(name: str, value: str, domain: str, path: str) -> Cookie:
    return Cookie(
        version=0,
        name=name,
        value=value,
        port=None,
        port_specified=False,
        domain=domain,
        domain_specified=True,
        domain_initial_dot=domain.startswith("."),
        path=path,
        path_specified=True,
        secure=False,
        expires=None,
        discard=True,
        comment=None,
        comment_url=None,
        rest={},
    )
