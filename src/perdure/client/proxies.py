"""Which requests go through a forward proxy, and what they look like then.

The choice is made once per origin and remembered; a client without proxies has no `Routes`, and pays nothing.

    proxy        what the caller said: a URL for everything, or None for nothing
    environment  else, if trusted: http_proxy, https_proxy, all_proxy, less what no_proxy exempts
    route        origin-form for an origin and in a tunnel, absolute-form for a proxy

RFC 9110 §7.3.2 (proxied), §11.7.2 (Proxy-Authorization), RFC 9112 §3.2.2 (absolute-form).
"""

from __future__ import annotations

import contextlib
import urllib.request
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from urllib.parse import unquote

from perdure.client.errors import InvalidURL
from perdure.client.exemptions import Exemptions
from perdure.client.urls import Location, NextProxy, Origin, locate
from perdure.core.fields import FieldLine, make_line

REMEMBERED_CHOICES: Final = 1024
ANY_SCHEME: Final = "all"


@dataclass(slots=True, frozen=True, kw_only=True)
class Proxies:
    """Forward proxies, and how they are spoken to: what `Client(proxy=...)` takes besides a URL.

    Attributes:
        url: of the proxy for every origin, http[s]://[USER:PASSWORD@]HOST[:PORT]; "" for those that the
            environment names, `trust_env` or not.
        no_proxy: origins that are reached without, such as "localhost, .internal:8080, 10.0.0.0/8"; None
            for those that the environment names, where it names the proxies too.
        tunnel: whether http origins too are reached by CONNECT.
        proxy_connection: whether a proxy is asked to keep connections with Proxy-Connection, which none of
            this century needs (RFC 9112 appendix C.2.2).
    """

    url: str = field(default="", repr=False)  # it may hold a password
    no_proxy: str | None = None
    tunnel: bool = False
    proxy_connection: bool = False


ProxySource: TypeAlias = str | Proxies | None
FROM_ENVIRONMENT: Final = Proxies()
"""The proxies of a client that was told nothing about them."""


def read_proxy(url: str, *, tunnel: bool = False, says_proxy_connection: bool = False) -> NextProxy:
    """Read the URL of a proxy: [http[s]://][USER:PASSWORD@]HOST[:PORT].

    Args:
        tunnel, says_proxy_connection: as of `NextProxy`.

    Raises:
        InvalidURL: for anything else; the message does not show the credentials.
    """
    location = None
    with contextlib.suppress(InvalidURL):  # whose message would show the credentials
        location = locate(url if "://" in url else f"http://{url}")
    if location is None or location.target != b"/":
        shown = url.rpartition("@")[2]
        raise InvalidURL(f"proxy: expected http://HOST:PORT or https://HOST:PORT, got {shown!r}")
    origin = location.origin
    authorization = b""
    if location.user:
        user, _, password = location.user.partition(":")
        credentials = f"{unquote(user)}:{unquote(password)}".encode()
        authorization = b"Basic " + b64encode(credentials)
    return NextProxy(origin.scheme, origin.host, origin.port, authorization, tunnel, says_proxy_connection)


class Routes:
    """The proxies of one client."""

    def __init__(
        self,
        urls: Mapping[str, str],
        exemptions: Exemptions,
        manner: Proxies,
    ) -> None:
        """Note the proxies; one that cannot be used is an error of the first request that needs it.

        Args:
            urls: of the proxies, by the scheme of the origin, or ANY_SCHEME.
            exemptions: origins that are reached without.
            manner: how proxies are spoken to.
        """
        self._urls = urls
        self._exemptions = exemptions
        self._manner = manner
        self._choices: dict[Origin, Origin] = {}

    def route(self, location: Location) -> Location:
        """Say how a location is reached.

        Returns:
            The location itself, or with the proxy as a part of its origin, and its target in
            absolute-form where the proxy reads the request.

        Raises:
            InvalidURL: the proxy for it is none that can be used.

        RFC 9112 §3.2.2.
        """
        chosen = self.through(location.origin)
        return location if chosen.proxy is None else in_absolute_form(location._replace(origin=chosen))

    def through(self, origin: Origin) -> Origin:
        """The origin with the proxy that leads to it, if there is one. Raises as `route`."""
        return self._choices.get(origin) or self._choose(origin)

    def _choose(self, origin: Origin) -> Origin:
        url = self._urls.get(origin.scheme) or self._urls.get(ANY_SCHEME)
        chosen = origin
        if url and not origin.unix_path and not self._exemptions.exempt(origin.host, origin.port):
            manner = self._manner
            proxy = read_proxy(url, tunnel=manner.tunnel, says_proxy_connection=manner.proxy_connection)
            chosen = origin._replace(proxy=proxy)
        if len(self._choices) >= REMEMBERED_CHOICES:
            self._choices.clear()
        self._choices[origin] = chosen
        return chosen


def make_routes(proxy: ProxySource, trust_env: bool) -> Routes | None:
    """Make the routes of a client; None where nothing ever goes through a proxy.

    Args:
        proxy: the URL of one for every origin, or `Proxies`; None for none at all.
        trust_env: whether the environment is asked where nothing was said.

    Raises:
        InvalidURL: the URL is none that can be used.
    """
    if proxy is None:
        return None
    told = Proxies(url=proxy) if isinstance(proxy, str) else proxy
    if told.url:
        read_proxy(told.url)
        urls: Mapping[str, str] = {ANY_SCHEME: told.url}
    else:
        urls = proxies_of_environment() if trust_env or told is not FROM_ENVIRONMENT else {}
    if not any(urls.get(scheme) for scheme in ("http", "https", ANY_SCHEME)):
        return None
    exempt = urls.get("no", "") if told.no_proxy is None else told.no_proxy
    return Routes(urls, Exemptions(exempt), told)


def proxies_of_environment() -> dict[str, str]:
    """The URLs of proxies by scheme, "all" and "no", as the environment says, or else the system.

    Lower case wins over upper case, and an empty lower-case variable says that there is none. Where
    REQUEST_METHOD is set this is a CGI program, and HTTP_PROXY is the Proxy field of somebody's
    request: it is not believed (CVE-2016-5385).
    """
    return urllib.request.getproxies()


def in_absolute_form(location: Location) -> Location:
    """The location with its target in absolute-form, where it is a proxy that reads the request.

    RFC 9112 §3.2.2, §3.2.4 (of "*" nothing is left).
    """
    target = location.target
    if not location.origin.asks_proxy or target[:1] not in (b"/", b"*"):
        return location
    return location._replace(target=b"http://" + location.host + (b"" if target == b"*" else target))


def lines_for(location: Location, lines: list[FieldLine]) -> list[FieldLine]:
    """The field lines of a request of a client with proxies: what is for the proxy goes to it alone.

    RFC 9110 §11.7.2.
    """
    origin = location.origin
    if not origin.asks_proxy:
        return [line for line in lines if line.lowered != b"proxy-authorization"]
    assert origin.proxy is not None
    if origin.proxy.fields:
        names = {line.lowered for line in origin.proxy.fields}
        lines = [*(line for line in lines if line.lowered not in names), *origin.proxy.fields]
    if not origin.proxy.authorization or any(line.lowered == b"proxy-authorization" for line in lines):
        return lines
    return [*lines, make_line(b"Proxy-Authorization", origin.proxy.authorization)]


def without_credentials(location: Location, lines: Sequence[FieldLine]) -> Sequence[FieldLine]:
    """Lines without those that `lines_for` added: what a caller may see, and send elsewhere."""
    proxy = location.origin.proxy
    if proxy is None or not proxy.authorization:
        return lines
    own = make_line(b"Proxy-Authorization", proxy.authorization)
    return [line for line in lines if line != own]
