"""URL → where to connect, what to ask for, and what Host says.

Target and query are sent as the caller wrote them: nothing is normalised, only what may not
stand in a request target is percent-encoded. Results are remembered: the same URLs come again.

RFC 9110 §4.2 (schemes), RFC 9112 §3.2.1 (origin-form), §3.2 (Host), RFC 3986 §3.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import quote, urlencode, urljoin

from perdure.client.errors import InvalidURL
from perdure.core.fields import FieldLine
from perdure.core.persistence import NextHop

Parameters: TypeAlias = Mapping[str, object] | Iterable[tuple[str, object]] | str
DEFAULT_PORTS = {"http": 80, "https": 443}
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<rest>[^#]*)(#.*)?", re.DOTALL
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_USER = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*://)[^/?#]*@")
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]@]+)(?::(?P<port>[0-9]{0,5}))?")
_HOST = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=%-]+")
_SAFE = "!$%&'()*+,/:;=?@[]~"


class NextProxy(NamedTuple):
    """A forward proxy that requests go through; it parts connections as origins do."""

    scheme: str
    """"https" where the proxy itself is spoken to in TLS."""
    host: str
    port: int
    authorization: bytes = b""
    """The value of Proxy-Authorization; b"" for none. It is said to this proxy and to nobody else."""
    tunnel: bool = False
    """True: CONNECT for http origins too."""
    says_proxy_connection: bool = False
    """True: persistence is asked for with Proxy-Connection (S13)."""
    fields: tuple[FieldLine, ...] = ()
    """What else is said to this proxy and to nobody else, in the place of lines of the same name."""

    def __str__(self) -> str:
        """Without the credentials, so that no log and no error shows them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    def __repr__(self) -> str:
        return f"NextProxy({self})"


class Origin(NamedTuple):
    """Where connections go to, and what parts them: two requests share one if theirs are equal."""

    scheme: str
    host: str
    """Lower case, without brackets."""
    port: int
    identity: str = ""
    """The name that TLS asks for and verifies; "" for the host."""
    unix_path: str = ""
    """The unix socket to connect to instead of host and port; "" for none."""
    proxy: NextProxy | None = None
    """What connections go through: they are never shared between a proxy and another."""

    def __str__(self) -> str:
        through = f" ({self.unix_path})" if self.unix_path else f" through {self.proxy}" if self.proxy else ""
        return f"{self.scheme}://{self.authority}{through}"

    @property
    def authority(self) -> str:
        """Host and port, always both, as CONNECT wants them (RFC 9112 §3.2.3)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def next_hop(self) -> NextHop:
        """Who reads the requests first."""
        if self.proxy is None or not self.asks_proxy:
            return NextHop.ORIGIN
        return NextHop.NETSCAPE_PROXY if self.proxy.says_proxy_connection else NextHop.PROXY

    @property
    def needs_tls(self) -> bool:
        """True where TLS is spoken, to the origin or to its proxy."""
        return self.scheme == "https" or (self.proxy is not None and self.proxy.scheme == "https")

    @property
    def asks_proxy(self) -> bool:
        """True where it is the proxy that reads the requests; False of a tunnel, and without a proxy."""
        return self.proxy is not None and self.scheme == "http" and not self.proxy.tunnel


class Location(NamedTuple):
    """A URL, as a request needs it."""

    origin: Origin
    target: bytes
    """In origin-form."""
    host: bytes
    """The value of Host: the authority without user information."""
    url: str
    """As given, fragment and all, but without user information: this may be shown."""
    user: str
    """The user information, still percent-encoded; "" for none. Never to be shown."""


@lru_cache(1024)
def locate(url: str) -> Location:
    """Read an http or https URL.

    Raises:
        InvalidURL: for another scheme, no host, a port out of range, or control characters and
            spaces in the authority.

    RFC 9110 §4.2.
    """
    match = _URL.fullmatch(url)
    shown = presentable(url)
    if match is None:
        raise InvalidURL(f"URL: expected http://HOST/..., got {shown!r}")
    scheme = match["scheme"].lower()
    if scheme not in DEFAULT_PORTS:
        raise InvalidURL(f"URL: expected the scheme http or https, got {scheme!r} in {shown!r}")
    user, _, place = match["authority"].rpartition("@")
    authority = _AUTHORITY.fullmatch(place)
    if authority is None:
        raise InvalidURL(f"URL: expected HOST or HOST:PORT, got {shown!r}")
    host = _host_name(authority["host"], shown)
    port = int(authority["port"] or DEFAULT_PORTS[scheme])
    if not 0 < port < 65536:
        raise InvalidURL(f"URL: expected a port from 1 to 65535, got {shown!r}")
    named = host if port == DEFAULT_PORTS[scheme] else f"{host}:{port}"
    origin = Origin(scheme, host.strip("[]"), port)
    return Location(origin, _target(match["rest"]), named.encode("ascii"), without_user(url), user)


def without_user(url: str) -> str:
    """A URL without its user information, so that it may be shown. RFC 9110 §4.2.4."""
    return _USER.sub(r"\1", url, count=1)


def presentable(url: str) -> str:
    """What a message may show of a URL that was refused.

    Where there is an "@", nothing but the scheme: what cannot be parsed does not tell where a password
    ends. RFC 9110 §4.2.4.
    """
    if "@" not in url:
        return url
    scheme = _SCHEME.match(url)
    return f"{scheme[0] if scheme else ''}..."


def joined(base: str, url: str) -> str:
    """A URL below a base; one with a scheme of its own stays as it is.

    "http://a/api" with "users" and with "/users" is "http://a/api/users": the base is a prefix, as
    callers of httpx expect, and not resolved as RFC 3986 §5 does.
    """
    if not base or _SCHEME.match(url):
        return url
    return base.rstrip("/") + "/" + url.lstrip("/") if url else base


def resolved(base: str, reference: str) -> str:
    """The URL that a Location names, seen from the URL that was asked for.

    It keeps the fragment of the base where it has none of its own (RFC 9110 §10.2.2).

    Raises:
        InvalidURL: it cannot be resolved.

    RFC 3986 §5.
    """
    try:
        url = urljoin(base, reference)
    except ValueError:  # whose words may hold the authority
        raise InvalidURL(f"URL: {presentable(reference)!r} cannot be resolved") from None
    fragment = base.partition("#")[2]
    return f"{url}#{fragment}" if fragment and "#" not in url else url


def with_parameters(url: str, parameters: Parameters) -> str:
    """Append parameters to the query of a URL; a fragment stays at the end. RFC 3986 §3.4."""
    query = parameters if isinstance(parameters, str) else form_encoded(parameters)
    if not query:
        return url
    plain, mark, fragment = url.partition("#")
    joint = "" if plain.endswith(("?", "&")) else "&" if "?" in plain else "?"
    return f"{plain}{joint}{query}{mark}{fragment}"


def form_encoded(values: Mapping[str, object] | Iterable[tuple[str, object]]) -> str:
    """Encode pairs as application/x-www-form-urlencoded; a list makes a pair of each member.

    True and False become "true" and "false", None becomes "".
    """
    return urlencode(form_pairs(values))


def form_pairs(values: Mapping[str, object] | Iterable[tuple[str, object]]) -> list[tuple[str, object]]:
    """The same pairs, before they are encoded."""
    found: list[tuple[str, object]] = []
    for name, value in pairs_of(values, "form or query"):
        members = value if isinstance(value, list | tuple) else (value,)
        found.extend((name, _text(member)) for member in members)
    return found


def pairs_of(values: Any, what: str) -> Iterable[tuple[Any, Any]]:
    """The pairs of a mapping, or of an iterable of pairs.

    Raises:
        TypeError: it is neither; the message begins with `what`.
    """
    if isinstance(values, Mapping):
        return values.items()
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise TypeError(f"{what}: a mapping or pairs expected, got {values!r:.60}")
    pairs = list(values)
    for pair in pairs:
        if isinstance(pair, str | bytes) or not isinstance(pair, Sequence) or len(pair) != 2:
            raise TypeError(f"{what}: a mapping or pairs expected, got {pair!r:.60} among them")
    return pairs


def _text(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else value


def _host_name(host: str, url: str) -> str:
    if host.startswith("["):
        return host.lower()
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            raise InvalidURL(f"URL: expected a host name, got {url!r}") from None
    labels = host.rstrip(".").split(".")
    if not _HOST.fullmatch(host) or not all(0 < len(label) < 64 for label in labels):
        raise InvalidURL(f"URL: expected a host name, got {url!r}")
    return host.lower()


def _target(rest: str) -> bytes:
    if not rest.startswith("/"):
        rest = "/" + rest
    if rest.isascii() and rest.isprintable() and not any(octet in rest for octet in ' "<>\\^`{|}'):
        return rest.encode("ascii")
    return quote(rest, safe=_SAFE).encode("ascii")
