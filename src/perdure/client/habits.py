"""What a client does around its requests, beyond the settings of its connections.

As long as none of it is wanted, requests take the short way: one exchange and nothing around it. A client
takes the long way (`conversation`) once there is a hook, an authentication that answers, redirects to
follow, or a cookie in the jar, and for the requests that ask for one of these.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from perdure.client.authentication import (
    Authentication,
    AuthenticationSource,
    BasicAuth,
    authentication_of,
    netrc_logins,
)
from perdure.client.conversation import Conversation, Hook
from perdure.client.cookies import Cookies, CookieSource, sets_cookies
from perdure.client.proxies import ProxySource, make_routes
from perdure.client.request import Request
from perdure.client.requests import HeaderSource, Options, RequestMaker, SendOptions, check_options
from perdure.client.settings import ClientSettings
from perdure.client.timeouts import timeout_of
from perdure.client.urls import Parameters, locate
from perdure.core import FieldLine

TALKATIVE: Final = frozenset({"cookies", "auth", "follow_redirects"})
"""The options that take a request the long way."""
EVENTS: Final = ("request", "response")


@dataclass(slots=True, frozen=True)
class RequestDefaults:
    """What goes into every request; see the arguments of `AsyncClient`."""

    base_url: str = ""
    params: Parameters | None = None
    headers: HeaderSource | None = None
    authentication: AuthenticationSource | None = None
    trust_env: bool = False
    server_hostname: str = ""
    proxy: ProxySource = None


class Habits:
    """What a client does around its requests.

    Attributes:
        maker: makes them.
        plain: True as long as requests may take the short way.
        request_hooks, response_hooks: in the order in which they are called.
        max_redirects: that are followed for one request.
    """

    def __init__(
        self,
        settings: ClientSettings,
        defaults: RequestDefaults | None = None,
        *,
        cookies: CookieSource | None = None,
        follow_redirects: bool = False,
        max_redirects: int = 20,
        event_hooks: Mapping[str, Iterable[Hook]] | None = None,
    ) -> None:
        """Note what was told; the arguments are those of `AsyncClient`.

        Raises:
            TypeError, ValueError, LocalProtocolError, InvalidURL: for a value that cannot be.
        """
        given = defaults or RequestDefaults()
        if given.base_url:
            locate(given.base_url)
        self._jar = Cookies(cookies)
        self.max_redirects = max_redirects
        self._follow = follow_redirects
        self.request_hooks, self.response_hooks = _hooks(event_hooks)
        known = authentication_of(given.authentication)
        basic = known if isinstance(known, BasicAuth) else None
        self._authentication: Authentication | None = None if basic else known
        self.maker = RequestMaker(
            settings,
            given.headers,
            base_url=given.base_url,
            params=given.params,
            authorization=basic.value if basic else "",
            logins=netrc_logins(os.environ) if given.trust_env else {},
            server_hostname=given.server_hostname,
            routes=make_routes(given.proxy, given.trust_env),
        )
        around = self._authentication or self.request_hooks or self.response_hooks
        self.plain = not (follow_redirects or around or cookies is not None)

    @property
    def cookies(self) -> Cookies:
        """The jar. Who holds it may put something in, so requests take the long way from now on."""
        self.plain = False
        return self._jar

    def begin(self, method: str, url: str, options: Options) -> Conversation:
        """Begin a conversation. Raises as `RequestMaker.make`."""
        if "auth" in options:
            authentication, login = authentication_of(options["auth"]), False
        else:
            authentication, login = self._authentication, self._authentication is None
        request = self.maker.draft(method, url, options, login)
        return self._conversation(request, authentication, options)

    def resume(self, request: Request, options: SendOptions) -> Conversation:
        """Begin a conversation with a request that was made before; what it says is left as it is."""
        check_options(options)
        authentication = authentication_of(options.get("auth"))
        return self._conversation(request, authentication, options)

    def take_cookies(self, url: str, fields: Sequence[FieldLine]) -> None:
        """Keep what a response sets."""
        if sets_cookies(fields):
            self.cookies.take(url, fields)

    def _conversation(
        self, request: Request, authentication: Authentication | None, options: Options | SendOptions
    ) -> Conversation:
        follow = options.get("follow_redirects")
        return Conversation(
            self,
            self._jar,
            request,
            authentication=authentication,
            own_cookies=options.get("cookies"),
            follow=self._follow if follow is None else follow,
            timeout=timeout_of(options.get("timeout")),
        )


def _hooks(given: Mapping[str, Iterable[Hook]] | None) -> tuple[tuple[Hook, ...], tuple[Hook, ...]]:
    unknown = set(given or {}) - set(EVENTS)
    if unknown:
        raise ValueError(f"event_hooks: expected {' and '.join(EVENTS)}, got {sorted(unknown)[0]!r}")
    request, response = (tuple((given or {}).get(event, ())) for event in EVENTS)
    return request, response
