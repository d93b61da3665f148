"""Method, URL, headers and content → the request that is sent.

A plain request to a URL asked for before is taken from memory: its lines are the same octets.

RFC 9110 §7.2 (Host), §10.1.1 (Expect), §10.1.5 (User-Agent), §12.5.3 (Accept-Encoding).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, version
from typing import TypeAlias, TypedDict

from perdure.client.authentication import AuthenticationSource, basic_of_url
from perdure.client.content import NO_CONTENT, Content, Form, Source, content_of
from perdure.client.decoding import ACCEPT_ENCODING
from perdure.client.errors import LocalProtocolError
from perdure.client.headers import RequestHeaders
from perdure.client.multipart import Files, multipart_of
from perdure.client.proxies import Routes, lines_for, without_credentials
from perdure.client.request import NOTHING_SAID
from perdure.client.request import Request as Model
from perdure.client.settings import ClientSettings
from perdure.client.timeouts import Timeout, TimeoutSource, timeout_of
from perdure.client.urls import Location, Parameters, joined, locate, pairs_of, with_parameters
from perdure.core.errors import LocalViolation
from perdure.core.events import Request
from perdure.core.fields import FieldLine, make_line
from perdure.core.framing import request_to_send
from perdure.core.retry import is_repeatable

HeaderSource: TypeAlias = Mapping[str, str | None] | Iterable[tuple[str | bytes, str | bytes | None]]
REMEMBERED_REQUESTS = 512
EXPECT_CONTINUE = make_line(b"Expect", b"100-continue")


def _own_version() -> str:
    try:
        return version("perdure")
    except PackageNotFoundError:  # run from its source
        return "0"


USER_AGENT = make_line(b"User-Agent", b"perdure/" + _own_version().encode("ascii"))
DEFAULT_LINES = (
    USER_AGENT,
    make_line(b"Accept", b"*/*"),
    make_line(b"Accept-Encoding", ACCEPT_ENCODING),
)


class Options(TypedDict, total=False):
    """What any request may say beside its method and URL.

    Keys:
        params: appended to the query of the URL.
        headers: these replace defaults of the same name; with None the default is left out.
        content: octets, text, a file or an iterable of octets; of an `AsyncClient` also asynchronous.
        data: pairs to send as a form; json: a value to send as JSON, dataclasses, times and msgspec's
            own types included. At most one of the three.
        files: files to send as a form, with the pairs of `data`: {field: file}, or {field: (name, content,
            media type, headers)} as far as you like; a file on disk is read as it is sent.
        expect_continue: content waits until the server asks for it, or for `continue_timeout`
            (RFC 9110 §10.1.1): a refusal then costs no upload.
        timeout: seconds, or parts of a `Timeout`; None for the settings' own, `math.inf` for none.
        server_hostname: the name that TLS asks for and verifies, instead of the URL's host.
        cookies: to send with this request besides the client's; the same name replaces.
        auth: (user, password), `DigestAuth` or another `Authentication`, or a callable that changes
            the `Request`; instead of the client's. None: none at all.
        follow_redirects: instead of the client's.
    """

    params: Parameters | None
    headers: HeaderSource | None
    content: Source | None
    data: Form | None
    json: object
    files: Files | None
    expect_continue: bool
    timeout: TimeoutSource | None
    server_hostname: str | None
    cookies: Mapping[str, str] | None
    auth: AuthenticationSource | None
    follow_redirects: bool | None


class SendOptions(TypedDict, total=False):
    """What may be said beside a whole `Request`; as of `Options`."""

    timeout: TimeoutSource | None
    cookies: Mapping[str, str] | None
    auth: AuthenticationSource | None
    follow_redirects: bool | None


KNOWN_OPTIONS = frozenset(Options.__annotations__)


def check_options(options: Options | SendOptions) -> None:
    """Refuse what no request knows: a misspelt option must not go unnoticed.

    Raises:
        TypeError: it names the option.
    """
    unknown = options.keys() - KNOWN_OPTIONS
    if unknown:
        name = min(unknown)
        near = get_close_matches(name, KNOWN_OPTIONS, 1)
        hint = f"; did you mean {near[0]}?" if near else f": {', '.join(sorted(KNOWN_OPTIONS))}"
        raise TypeError(f"{name}: no option of a request{hint}")


class Asked:
    """One request as the caller asked for it.

    Attributes:
        location: where to.
        request: its head.
        content: its content.
        read_timeout, write_timeout: seconds of silence.
        timeout: what the caller allows for getting a connection; None for the settings' own.
        said: what the client itself said of cookies.
        needs_tls: TLS is spoken on the way.
        expects_continue: content waits for 100 (Continue). RFC 9110 §10.1.1.
        repeatable: as `retry.is_repeatable` says.
    """

    __slots__ = (
        "content", "expects_continue", "location", "needs_tls", "read_timeout", "repeatable",
        "request", "said", "timeout", "write_timeout",
    )  # fmt: skip

    def __init__(
        self,
        location: Location,
        request: Request,
        content: Content,
        settings: ClientSettings,
        timeout: Timeout | None,
    ) -> None:
        self.location = location
        self.request = request
        self.content = content
        self.timeout = timeout
        self.said = NOTHING_SAID
        self.read_timeout = settings.read_timeout
        self.write_timeout = settings.write_timeout
        # Asked here once: the same object serves whoever asks for the same again.
        self.needs_tls = location.origin.needs_tls
        facts = request.facts
        self.expects_continue = b"100-continue" in facts.expectations
        self.repeatable = is_repeatable(request.method, facts.idempotency_key, content.replayable)
        if timeout is None:
            return
        if timeout.read is not None:
            self.read_timeout = timeout.read
        if timeout.write is not None:
            self.write_timeout = timeout.write

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

    def streamed_request(self) -> Request:
        """The head for content that follows piece by piece."""
        request = self.request
        fields = list(request.fields)
        if self.content.length is not None and not self.declares_length:
            fields.append(make_line(b"Content-Length", b"%d" % self.content.length))
        return Request(request.method, request.target, fields, request.version, end=False)

    def as_request(self) -> Model:
        """The request as a caller sees it, with the line that frames its content. RFC 9112 §6."""
        request, content = self.request, self.content
        headers = RequestHeaders(without_credentials(self.location, request.fields))
        line = request_to_send(request.facts, request.method, content.length, True).line
        for framing in line.splitlines():
            name, _, value = framing.partition(b": ")
            headers[name.decode("ascii")] = value.decode("ascii")
        location = self.location
        model = Model(request.method.decode(), location.url, headers, content, location.origin.identity)
        model.said = self.said
        return model

    def become_whole(self, octets: bytes) -> None:
        """All of the content was gathered."""
        self.content.become_whole(octets)
        self.repeatable = is_repeatable(self.request.method, self.request.facts.idempotency_key, True)


class RequestMaker:
    """Makes the requests of one client."""

    def __init__(
        self,
        settings: ClientSettings,
        headers: HeaderSource | None,
        *,
        base_url: str = "",
        params: Parameters | None = None,
        authorization: str = "",
        logins: Mapping[str, str] | None = None,
        server_hostname: str = "",
        routes: Routes | None = None,
    ) -> None:
        """Note the defaults; a caller's header replaces ours of the same name.

        Args:
            base_url: put in front of URLs without a scheme.
            params: put into the query of every URL.
            authorization: the value of Authorization for every request without one.
            logins: the same by host, for requests that have none yet.
            server_hostname: as of `Options`.
            routes: the proxies, if there are any.

        Raises:
            LocalProtocolError: for a name or value that cannot be sent.
        """
        self._settings = settings
        self._defaults = merged(DEFAULT_LINES, headers)
        self._base_url = base_url
        # An iterator would be empty from the second request on.
        self._params = params if params is None or isinstance(params, str | Mapping) else tuple(params)
        self._authorization = authorization
        self._logins = logins or {}
        self._server_hostname = server_hostname
        self._routes = routes
        self._remembered: dict[tuple[str, str], Asked] = {}

    def make(self, method: str, url: str, options: Options) -> Asked:
        """Make a request.

        Raises:
            InvalidURL: for a URL that cannot be asked for.
            LocalProtocolError: for a method, header or combination that must not be sent.
            TypeError, ValueError: for content of an unknown kind, or of more than one; for a timeout
                that is none.
        """
        settings = self._settings
        if not options:
            return self._remembered.get((method, url)) or self._plain(method, url)
        check_options(options)
        location, lines, body = self._parts(url, options)
        location, lines = self._addressed(location, self._with_login(location, lines))
        request = Request(_method(method), location.target, lines, settings.version)
        _check(request, body)
        return Asked(location, request, body, settings, timeout_of(options.get("timeout")))

    def draft(self, method: str, url: str, options: Options, login: bool = True) -> Model:
        """Make a request that may still be changed, without the Host that `freeze` adds. Raises as `make`.

        Args:
            login: False where somebody else says who is asking.
        """
        check_options(options)
        location, lines, body = self._parts(url, options)
        if login:
            lines = self._with_login(location, lines)
        return Model(method, location.url, RequestHeaders(lines), body, location.origin.identity)

    def freeze(self, model: Model, timeout: Timeout | None = None) -> Asked:
        """Make the request that is sent of one that a caller could change. Raises as `make`."""
        location = _named(locate(model.url), model.server_hostname)
        location, lines = self._addressed(location, list(model.headers.lines))
        request = Request(_method(model.method), location.target, lines, self._settings.version)
        _check(request, model.content)
        asked = Asked(location, request, model.content, self._settings, timeout)
        asked.said = model.said
        return asked

    def _parts(self, url: str, options: Options) -> tuple[Location, list[FieldLine], Content]:
        location = self._locate(url, options.get("params"), options.get("server_hostname"))
        body = _body(options)
        lines = merged(self._defaults, options.get("headers"))
        if body.media_type and not _has(lines, b"content-type"):
            lines.append(make_line(b"Content-Type", body.media_type))
        if options.get("expect_continue") and body.length != 0:
            lines.append(EXPECT_CONTINUE)
        return location, lines, body

    def _locate(self, url: str, params: Parameters | None, server_hostname: str | None) -> Location:
        whole = joined(self._base_url, url)
        own = self._params
        if own is not None and isinstance(own, Mapping) and isinstance(params, Mapping):
            own = {name: value for name, value in own.items() if name not in params}
        for more in (own, params):
            if more:
                whole = with_parameters(whole, more)
        return _named(locate(whole), server_hostname or self._server_hostname)

    def _plain(self, method: str, url: str) -> Asked:
        """A request of which nothing but this is told; who asks for it again gets the same."""
        location = self._locate(url, None, None)
        location, lines = self._addressed(location, self._with_login(location, self._defaults))
        request = Request(_method(method), location.target, lines, self._settings.version)
        request.prepared = {}
        if len(self._remembered) >= REMEMBERED_REQUESTS:
            self._remembered.clear()
        asked = self._remembered[method, url] = Asked(location, request, NO_CONTENT, self._settings, None)
        return asked

    def _with_login(self, location: Location, lines: list[FieldLine]) -> list[FieldLine]:
        """Who asks: as the headers say, or the client, or the URL, or .netrc. RFC 9110 §11.6.2."""
        if _has(lines, b"authorization"):
            return lines
        value = self._authorization
        if not value and location.user:
            value = basic_of_url(location.user)
        value = value or self._logins.get(location.origin.host, "")
        return [*lines, make_line(b"Authorization", value.encode("ascii"))] if value else lines

    def _addressed(self, location: Location, lines: list[FieldLine]) -> tuple[Location, list[FieldLine]]:
        """The way there, and Host first, as RFC 9110 §7.2 asks; the caller's own, if there is one."""
        if self._routes is not None:
            location = self._routes.route(location)
            lines = lines_for(location, lines)
        own = [line for line in lines if line.lowered == b"host"]
        others = [line for line in lines if line.lowered != b"host"] if own else lines
        return location, [*(own or [make_line(b"Host", location.host)]), *others]


def _body(options: Options) -> Content:
    files = options.get("files")
    if not files:
        return content_of(options.get("content"), options.get("data"), options.get("json"))
    if options.get("content") is not None or options.get("json") is not None:
        raise TypeError("content: expected files, with data or alone, got content or json beside them")
    return multipart_of(options.get("data"), files)


def _named(location: Location, server_hostname: str) -> Location:
    """The same place, whose certificate is for another name."""
    if not server_hostname or location.origin.scheme != "https":
        return location
    return location._replace(origin=location.origin._replace(identity=server_hostname))


def _has(lines: Iterable[FieldLine], lowered: bytes) -> bool:
    return any(line.lowered == lowered for line in lines)


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
    return () if headers is None else pairs_of(headers, "headers")


def _octets(text: str | bytes) -> bytes:
    if isinstance(text, bytes):
        return text
    if not isinstance(text, str):
        raise TypeError(f"headers: text or octets expected, got {text!r:.60}")
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
