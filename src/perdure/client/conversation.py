"""What happens around an exchange: cookies, authentication, hooks, redirects. The only logic of it.

A generator, like `exchange` within it, so that threads and event loops share every decision. It yields
what it wants done, and returns the response for the caller, whose head is here and whose content is not
yet read.

    step                    done by the client                                 sent back
    (ASK, asked)            one exchange, up to the response's head            the response
    (READ, response)        read its content                                   nothing
    (DROP, response)        read what is left and drop it, or end it           nothing
    (CALL, function)        call it, and await what it returns if need be      what it returned

    request ─▶ cookies, hooks ─▶ ASK ─▶ cookies, hooks ─▶ 401 to answer? ─▶ redirect? ─▶ caller
       ▲                                                        │               │
       └───────────────────────── DROP ─────────────────────────┴───────────────┘

RFC 9110 §11 (authentication), §15.4 (redirects), RFC 6265 (cookies).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from perdure.client.authentication import Authentication
from perdure.client.cookies import Cookies
from perdure.client.errors import ContentNotRepeatable, TooManyRedirects
from perdure.client.redirects import redirected, same_origin
from perdure.client.request import Request, SaidCookies
from perdure.client.timeouts import Timeout

if TYPE_CHECKING:
    from perdure.client.habits import Habits
    from perdure.client.models import Message

ASK: Final = 0
READ: Final = 1
DROP: Final = 2
CALL: Final = 3

Step: TypeAlias = tuple[int, Any]
Steps: TypeAlias = "Generator[Step, Any, Message]"
Hook: TypeAlias = Callable[[Any], Any]


class Conversation:
    """One request of a caller, and all that are asked because of it.

    Attributes:
        request: the next to ask.
    """

    __slots__ = (
        "_authentication",
        "_away",
        "_cookies",
        "_follow",
        "_habits",
        "_history",
        "_own_cookies",
        "_said_cookie",
        "_timeout",
        "request",
    )

    def __init__(
        self,
        habits: Habits,
        cookies: Cookies,
        request: Request,
        *,
        authentication: Authentication | None,
        own_cookies: Mapping[str, str] | None,
        follow: bool,
        timeout: Timeout | None,
    ) -> None:
        self.request = request
        self._habits = habits
        self._authentication = authentication
        self._cookies = cookies
        self._own_cookies = {**request.said.own, **(own_cookies or {})}
        self._follow = follow
        self._timeout = timeout
        self._history: list[Message] = []
        self._away = request.said.away
        self._said_cookie = "cookie" in request.headers

    def steps(self) -> Steps:
        """Ask until there is a response for the caller.

        Raises:
            RedirectError: a redirect cannot be followed, or there are too many of them.
            Whatever an exchange, a hook or the authentication raises.
        """
        while True:
            response = yield from self._authenticated()
            following = redirected(self.request, response) if self._follow else None
            if following is None:
                return response
            most = self._habits.max_redirects
            if sum(earlier.is_redirect for earlier in self._history) >= most:
                raise TooManyRedirects(f"{response.url}: more than {most} redirects (9110 §15.4)", response)
            yield from self._drop(response)
            if not same_origin(self.request.url, following.url):
                # What was meant for the first origin is for none that it names, nor for itself again.
                self._away = True
                self._authentication = None
                self._own_cookies = {}
                self._said_cookie = False
            self.request = following

    def _authenticated(self) -> Steps:
        authentication = self._authentication
        if authentication is None:
            return (yield from self._asked())
        turns = authentication.flow(self.request)
        self.request = next(turns)
        while True:
            response = yield from self._asked()
            if getattr(authentication, "reads_content", False):
                yield (READ, response)
            try:
                again = turns.send(response)
            except StopIteration:
                return response
            if not again.content.replayable:
                raise ContentNotRepeatable(
                    f"{response.status} from {response.url}: the content cannot be read a second time;"
                    " give octets, a file or a list (9110 §11.6.1)",
                    response,
                )
            yield from self._drop(response)
            self.request = again

    def _asked(self) -> Steps:
        """Ask once."""
        request, habits = self.request, self._habits
        if not self._said_cookie and (self._cookies or self._own_cookies or "cookie" in request.headers):
            self._say_cookies(request)
        for hook in habits.request_hooks:
            yield (CALL, partial(hook, request))
        response: Message = yield (ASK, habits.maker.freeze(request, self._timeout))
        response.history = tuple(self._history)
        habits.take_cookies(response.url, response.fields)
        for hook in habits.response_hooks:
            yield (CALL, partial(hook, response))
        return response

    def _say_cookies(self, request: Request) -> None:
        value = self._cookies.header_for(request.url, self._own_cookies, self._away)
        request.headers.discard("cookie")
        if value:
            request.headers["Cookie"] = value
        said = request.headers.get("cookie", "")
        request.said = SaidCookies(said, self._own_cookies, self._away)

    def _drop(self, response: Message) -> Generator[Step, Any, None]:
        yield (DROP, response)
        self._history.append(response)
