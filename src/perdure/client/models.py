"""What a caller gets: `ConnectionUse`, and what both kinds of `Response` share.

Heads are kept as the field lines they came as; `Headers` and text are made when asked for.

RFC 9110 §5 (fields), §8.3 (Content-Type), §15 (status).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

import msgspec

from perdure.client.cookies import Cookies
from perdure.client.decoding import decoded
from perdure.client.errors import ResponseConsumed, StatusError
from perdure.client.headers import Headers
from perdure.client.links import links_of
from perdure.client.redirects import is_redirect, redirected
from perdure.client.request import Request
from perdure.core import FieldLine, Interim
from perdure.core import Response as Head
from perdure.core.events import NO_LINES
from perdure.core.pool import Entry
from perdure.core.reason import Reason
from perdure.core.writer import PHRASES

if TYPE_CHECKING:
    from perdure.client.requests import Asked

T = TypeVar("T")
_CHARSET = re.compile(r"""(?i);\s*charset\s*=\s*"?([A-Za-z0-9_.:-]+)""")


class ConnectionUse:
    """The connection that served one exchange, as it was then.

    Attributes:
        id: counts the connections of the client from 1.
        reused: True if it had lain idle before this request.
        idle_seconds: how long it had.
        uses: the requests it was used for, this one included.
        age_seconds: since it was dialled.
        ends: why it ends with this exchange; None if it persists. Final once the response is read.
    """

    __slots__ = ("age_seconds", "ends", "id", "idle_seconds", "reused", "uses")

    def __init__(self, entry: Entry[Any], now: float) -> None:
        self.id = entry.number
        self.reused = entry.reused
        self.idle_seconds = entry.idle_seconds
        self.uses = entry.uses
        self.age_seconds = now - entry.dialled_at
        self.ends: Reason | None = None

    def __repr__(self) -> str:
        fate = "persists" if self.ends is None else f"ends: {self.ends}"
        return f"<connection {self.id}, use {self.uses}, idle {self.idle_seconds:.3g} s, {fate}>"


class Message:
    """What both kinds of response share.

    Attributes:
        status: such as 200.
        url: that was asked for, query and fragment included, user information not.
        history: the responses that led to this one, in order: redirects, and 401s that were
            answered. Their content was not kept.
        connection: `ConnectionUse`.
        elapsed: seconds from asking until the response was there: of a stream its head.
        interims: 1xx responses that came before it, in order.
        fields: the field lines of the head, as received.
        trailers: those after the content; complete once it is read.
    """

    __slots__ = (
        "_headers",
        "_phrase",
        "_version",
        "asked",
        "connection",
        "elapsed",
        "fields",
        "history",
        "interims",
        "status",
        "trailers",
        "url",
    )

    url: str
    status: int
    fields: Sequence[FieldLine]
    connection: ConnectionUse
    elapsed: float
    interims: Sequence[Interim]
    trailers: Sequence[FieldLine]
    history: Sequence[Message]
    asked: Asked | None
    _phrase: bytes | None
    _version: tuple[int, int]
    _headers: Headers | None

    @property
    def headers(self) -> Headers:
        """The fields of the head. RFC 9110 §5."""
        if self._headers is None:
            self._headers = Headers(self.fields)
        return self._headers

    @property
    def reason_phrase(self) -> str:
        """As received, or the usual one. RFC 9112 §4."""
        phrase = self._phrase
        return (PHRASES.get(self.status, b"") if phrase is None else phrase).decode("latin-1")

    @property
    def http_version(self) -> str:
        """That the server spoke, such as "HTTP/1.1"."""
        return f"HTTP/{self._version[0]}.{self._version[1]}"

    @property
    def is_success(self) -> bool:
        """True of 2xx. RFC 9110 §15.3."""
        return 200 <= self.status < 300

    @property
    def ok(self) -> bool:
        """True below 400: no error. RFC 9110 §15."""
        return self.status < 400

    @property
    def is_redirect(self) -> bool:
        """True where the status and a Location say so. RFC 9110 §15.4."""
        return is_redirect(self)

    def raise_for_status(self) -> Self:
        """Return the response itself unless it is an error.

        Raises:
            StatusError: for 400 and above.
        """
        if self.status >= 400:
            raise StatusError(f"{self.status} {self.reason_phrase}: {self.url}", self)
        return self

    @property
    def request(self) -> Request:
        """What was asked: method, URL, and the headers as sent, but for what concerns the connection.

        Raises:
            RuntimeError: of a response that no client made.
        """
        if self.asked is None:
            raise RuntimeError("this response was made without a request")
        return self.asked.as_request()

    @property
    def next_request(self) -> Request | None:
        """What following this redirect would ask, for `Client.send`; None where it is none.

        Raises:
            RedirectError: it cannot be followed.
        """
        return redirected(self.request, self) if self.is_redirect else None

    @property
    def cookies(self) -> Cookies:
        """Those that this response sets, as far as its URL may set them. RFC 6265 §5.3."""
        found = Cookies()
        found.take(self.url, self.fields)
        return found

    @property
    def links(self) -> dict[str, dict[str, str]]:
        """The Link field by relation: {"next": {"url": "/?page=2", "rel": "next"}}. RFC 8288 §3."""
        return links_of(self.headers.get_list("link"))

    @property
    def encoding(self) -> str:
        """The charset of Content-Type, else utf-8. RFC 9110 §8.3.2."""
        match = _CHARSET.search(self.headers.get("content-type", ""))
        return match[1] if match else "utf-8"

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.reason_phrase}>"


class Response(Message):
    """A response and its content.

    Attributes: as of `Message`.
    """

    __slots__ = ("_content", "_decoded")

    _content: bytes | None
    _decoded: bytes | None

    def __init__(
        self,
        url: str,
        head: Head,
        use: ConnectionUse,
        interims: Sequence[Interim],
        asked: Asked | None = None,
    ) -> None:
        self.url = url
        self.status = head.status
        self.fields = head.fields
        self.connection = use
        self.elapsed = 0.0
        self.interims = interims
        self.trailers = NO_LINES
        self.history = ()
        self.asked = asked
        self._phrase = head.reason_phrase
        self._version = head.version
        self._headers = None
        self._content = self._decoded = None

    def complete(self, content: bytes, trailers: Sequence[FieldLine], elapsed: float) -> None:
        """Take the content. Not for callers."""
        self._content = content
        self.trailers = trailers
        self.elapsed = elapsed

    @property
    def raw_content(self) -> bytes:
        """The content as it was sent, content coding and all.

        Raises:
            ResponseConsumed: it was not read, or was read as a stream.
        """
        if self._content is None:
            raise ResponseConsumed("the content of this response was not read, or was read as a stream")
        return self._content

    @property
    def content(self) -> bytes:
        """The content, content codings undone as far as they are known here.

        Raises:
            DecodingError: the content is not what Content-Encoding says.
            ResponseConsumed: as of `raw_content`.
        """
        if self._decoded is None:
            self._decoded = decoded(self.fields, self.raw_content)
        return self._decoded

    @property
    def text(self) -> str:
        """The content as text; what does not fit the charset is replaced."""
        try:
            return self.content.decode(self.encoding, "replace")
        except LookupError:  # a charset that nobody knows
            return self.content.decode("utf-8", "replace")

    @overload
    def json(self) -> Any: ...

    @overload
    def json(self, type: type[T]) -> T: ...

    def json(self, type: Any = Any) -> Any:
        """The content as JSON.

        Args:
            type: what is expected, checked while it is read: a dataclass, a `msgspec.Struct`,
                `list[int]`; anything unless given.

        Raises:
            ValueError: it is no JSON, or not what was expected; the message says where.

        RFC 8259 §8.1.
        """
        return msgspec.json.decode(self.content.removeprefix(b"\xef\xbb\xbf"), type=type)
