"""Method, URL, headers and content → the request that is sent.

A plain request to a URL asked for before is taken from memory: its lines are the same octets.

RFC 9110 §7.2 (Host), §10.1.1 (Expect), §10.1.5 (User-Agent), §12.5.3 (Accept-Encoding).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TypeAlias, TypedDict

from perdure.client.content import NO_CONTENT, Content, Form, Source, content_of
from perdure.client.errors import LocalProtocolError
from perdure.client.settings import ClientSettings
from perdure.client.urls import Location, Parameters, locate, with_parameters
from perdure.core.errors import LocalViolation
from perdure.core.events import Request
from perdure.core.fields import FieldLine, make_line

HeaderSource: TypeAlias = Mapping[str, str | None] | Iterable[tuple[str | bytes, str | bytes | None]]
REMEMBERED_REQUESTS = 512


def _own_version() -> str:
    try:
        return version("perdure")
    except PackageNotFoundError:  # run from its source
        return "0"


DEFAULT_LINES = (
    make_line(b"User-Agent", b"perdure/" + _own_version().encode("ascii")),
    make_line(b"Accept", b"*/*"),
    make_line(b"Accept-Encoding", b"gzip"),
)


class Options(TypedDict, total=False):
    """What any request may say beside its method and URL.

    Keys:
        params: appended to the query of the URL.
        headers: these replace defaults of the same name; with None the default is left out.
        content: octets, text, a file or an iterable of octets; of an `AsyncClient` also asynchronous.
        data: pairs to send as a form; json: a value to send as JSON. At most one of the three.
        timeout: seconds of silence, or of waiting for a connection, before the request fails;
            instead of the settings' read, write and pool timeouts.
    """

    params: Parameters | None
    headers: HeaderSource | None
    content: Source | None
    data: Form | None
    json: object
    timeout: float | None


class Asked:
    """One request as the caller asked for it.

    Attributes:
        location: where to.
        request: its head.
        content: its content.
        read_timeout, write_timeout: seconds of silence.
        timeout: seconds the caller allows for getting a connection; None for the settings' own.
    """

    __slots__ = ("content", "location", "read_timeout", "request", "timeout", "write_timeout")

    def __init__(
        self,
        location: Location,
        request: Request,
        content: Content,
        settings: ClientSettings,
        timeout: float | None,
    ) -> None:
        self.location = location
        self.request = request
        self.content = content
        self.timeout = timeout
        self.read_timeout = settings.read_timeout if timeout is None else timeout
        self.write_timeout = settings.write_timeout if timeout is None else timeout

    @property
    def declares_length(self) -> bool:
        """True if the caller set Content-Length."""
        return bool(self.request.facts.lengths)

    @property
    def declares_chunks(self) -> bool:
        """True if the caller set Transfer-Encoding: who does knows that the server speaks HTTP/1.1.

        RFC 9112 §6.1 (specific user configuration).
        """
        return bool(self.request.facts.codings)

    @property
    def expects_continue(self) -> bool:
        """True if content waits for 100 (Continue). RFC 9110 §10.1.1."""
        return b"100-continue" in self.request.facts.expectations

    def streamed_request(self) -> Request:
        """The head for content that follows piece by piece."""
        request = self.request
        fields = list(request.fields)
        if self.content.length is not None and not self.declares_length:
            fields.append(make_line(b"Content-Length", b"%d" % self.content.length))
        return Request(request.method, request.target, fields, request.version, end=False)

    def become_whole(self, octets: bytes) -> None:
        """All of the content was gathered."""
        self.content.become_whole(octets)


class RequestMaker:
    """Makes the requests of one client."""

    def __init__(self, settings: ClientSettings, headers: HeaderSource | None) -> None:
        """Note the default headers; a caller's replaces ours of the same name.

        Raises:
            LocalProtocolError: for a name or value that cannot be sent.
        """
        self._settings = settings
        self._defaults = merged(DEFAULT_LINES, headers)
        self._remembered: dict[tuple[str, str], tuple[Location, Request]] = {}

    def make(
        self,
        method: str,
        url: str,
        options: Options,
    ) -> Asked:
        """Make a request.

        Raises:
            InvalidURL: for a URL that cannot be asked for.
            LocalProtocolError: for a method, header or combination that must not be sent.
            TypeError: for content of an unknown kind, or of more than one.
        """
        settings = self._settings
        if not options:
            location, request = self._remembered.get((method, url)) or self._plain(method, url)
            return Asked(location, request, NO_CONTENT, settings, None)
        params, headers = options.get("params"), options.get("headers")
        location = locate(with_parameters(url, params) if params else url)
        body = content_of(options.get("content"), options.get("data"), options.get("json"))
        lines = self._lines(location, merged(self._defaults, headers))
        if body.media_type and not any(line.lowered == b"content-type" for line in lines):
            lines.append(make_line(b"Content-Type", body.media_type))
        request = Request(_method(method), location.target, lines, settings.version)
        _check(request, body)
        return Asked(location, request, body, settings, options.get("timeout"))

    def _plain(self, method: str, url: str) -> tuple[Location, Request]:
        location = locate(url)
        lines = self._lines(location, self._defaults)
        request = Request(_method(method), location.target, lines, self._settings.version)
        request.prepared = {}
        if len(self._remembered) >= REMEMBERED_REQUESTS:
            self._remembered.clear()
        self._remembered[method, url] = location, request
        return location, request

    def _lines(self, location: Location, lines: list[FieldLine]) -> list[FieldLine]:
        """Host first, as RFC 9110 §7.2 asks; the caller's own, if there is one."""
        own = [line for line in lines if line.lowered == b"host"]
        others = [line for line in lines if line.lowered != b"host"] if own else lines
        return [*(own or [make_line(b"Host", location.host)]), *others]


def lines_of(headers: HeaderSource | None) -> list[FieldLine]:
    """Make field lines of a caller's headers; of those without a value there are none.

    Raises:
        LocalProtocolError: for a name or value that cannot be sent (RFC 9110 §5.1, §5.5).
    """
    pairs = _pairs(headers)
    try:
        return [make_line(_octets(name), _octets(value)) for name, value in pairs if value is not None]
    except LocalViolation as violation:
        raise LocalProtocolError(str(violation)) from violation


def merged(defaults: Iterable[FieldLine], headers: HeaderSource | None) -> list[FieldLine]:
    """A caller's field lines, after those defaults that they do not replace. Raises as `lines_of`."""
    pairs = list(_pairs(headers))
    names = {_octets(name).lower() for name, _ in pairs}
    return [line for line in defaults if line.lowered not in names] + lines_of(pairs)


def _pairs(headers: HeaderSource | None) -> Iterable[tuple[str | bytes, str | bytes | None]]:
    if headers is None:
        return ()
    return headers.items() if isinstance(headers, Mapping) else headers


def _octets(text: str | bytes) -> bytes:
    if isinstance(text, bytes):
        return text
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode()


def _method(method: str) -> bytes:
    if not method.isascii():
        raise LocalProtocolError(f"method: expected a token, got {method!r} (9110 §9.1)")
    return method.encode("ascii")


def _check(request: Request, content: Content) -> None:
    """Refuse what a client must not send. RFC 9110 §9.3.8, §10.1.1."""
    if request.method == b"TRACE" and content.length != 0:
        raise LocalProtocolError("a TRACE request has no content (9110 §9.3.8)")
    expectations = request.facts.expectations
    if expectations and content.length == 0:
        raise LocalProtocolError("an expectation needs content to wait with (9110 §10.1.1)")
