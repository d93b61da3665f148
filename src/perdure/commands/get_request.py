"""What the options of `perdure get` mean for a request: its URL, its fields, its content.

RFC 7617 (Basic), RFC 9110 §5.1 (field names), WHATWG URL-encoded forms as curl sends them.
"""

from __future__ import annotations

import re
import sys
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias
from urllib.parse import unquote_to_bytes

import typer

from perdure.client.requests import Options, RequestMaker
from perdure.client.settings import ClientSettings
from perdure.client.urls import locate, with_parameters
from perdure.commands.delivery import beginning
from perdure.commands.form import FormPart, form_part
from perdure.commands.get_options import GetOptions
from perdure.commands.outcome import CouldNot
from perdure.core import ClientConnection, Request

Content: TypeAlias = bytes | Path | list[FormPart]
"""Octets, or files that are opened anew for each request."""
Field: TypeAlias = tuple[str, str | None]

SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
FORM: Final = ("Content-Type", "application/x-www-form-urlencoded")
"""What `-d` is said to be, unless a field says otherwise (curl)."""
PLAIN: Final = ("Accept-Encoding", "identity")
"""What comes is what is printed."""
GZIP: Final = ("Accept-Encoding", "gzip")
LINE_ENDS: Final = b"\r\n\0"
"""What -d leaves out of a file (curl)."""


class Wanted(NamedTuple):
    """What is asked for at one URL."""

    method: str
    url: str
    """Without credentials and fragment: it is shown."""
    fields: Sequence[Field]
    content: Content | None
    login: tuple[str, str] | None = None
    """User and password, for --digest."""

    def open_content(self, stack: ExitStack) -> Options:
        """The content of one request, as the client takes it; `stack` closes its files."""
        content = self.content
        if isinstance(content, list):
            return {"files": [part.open(stack) for part in content]}
        if isinstance(content, Path):
            return {"content": stack.enter_context(content.open("rb"))}
        return {"content": content}


def wanted_of(options: GetOptions, settings: ClientSettings) -> list[Wanted]:
    """What is asked for, one for each URL.

    Raises:
        CouldNot: an option cannot be understood, or its file cannot be read.
        InvalidURL: there is no such URL.
        LocalProtocolError, LocalViolation: a method or a field that cannot be sent.
    """
    urls = [_with_scheme(url) for url in options.url]
    for url in urls:
        locate(url)  # before a file is read, or a password asked for
    content = content_of(options)
    fields = fields_of(options)
    login = None if options.user is None else _with_password(options.user)
    wanted = [_wanted(url, options, fields, content, login) for url in urls]
    for one in wanted:
        check_sendable(one, settings)
    return wanted


def _with_scheme(url: str) -> str:
    """The URL; http where it names no scheme (curl). Raises CouldNot where it can be none."""
    if url.isdecimal():
        raise CouldNot(
            f"URL: http://HOST/... expected, got {url!r} (a switch such as --retry takes no number)"
        )
    if url.startswith("http+unix:"):
        raise CouldNot(
            f"URL: a unix socket is named by --unix-socket PATH beside http://HOST/..., got {url!r}"
        )
    return url if SCHEME.match(url) else f"http://{url}"


def check_sendable(wanted: Wanted, settings: ClientSettings) -> None:
    """Try the head of a request on a connection to nowhere. Raises LocalProtocolError, LocalViolation."""
    ClientConnection(settings.limits(), settings.terms()).send(request_of(wanted, settings))


def request_of(wanted: Wanted, settings: ClientSettings) -> Request:
    """The head that the client sends."""
    octets = wanted.content if isinstance(wanted.content, bytes) else None
    options: Options = {"headers": wanted.fields, "content": octets}
    return RequestMaker(settings, None).make(wanted.method, wanted.url, options).request


def _wanted(
    url: str, options: GetOptions, fields: list[Field], content: Content | None, login: bytes | None
) -> Wanted:
    location = locate(url)
    plain = location.url.partition("#")[0]
    login = unquote_to_bytes(location.user) if login is None else login
    if login and not options.digest and not any(name.lower() == "authorization" for name, _ in fields):
        fields = [*fields, ("Authorization", basic(login))]
    if options.in_query and isinstance(content, bytes):
        plain, content = with_parameters(plain, content.decode("utf-8", "replace")), None
    start = beginning(options, plain)
    if start:
        fields = [*fields, ("Range", f"bytes={start}-")]
    user, _, password = login.decode("utf-8", "surrogateescape").partition(":")
    digest = (user, password) if login and options.digest else None
    return Wanted(options.verb, plain, fields, content, digest)


# --- fields --------------------------------------------------------------------------------


def fields_of(options: GetOptions) -> list[Field]:
    """The fields to send; a value of None leaves a default out.

    Raises:
        CouldNot: one of them cannot be understood, or a file of them cannot be read.
    """
    fields = [_field(text) for given in options.header for text in _lines_of(given)]
    given = {name.lower() for name, _ in fields}
    fields += [field for field in _fields_of_options(options) if field[0].lower() not in given]
    return fields


def _fields_of_options(options: GetOptions) -> Iterator[Field]:
    """What other options than --header say, which overrides them (curl)."""
    if options.user_agent is not None:
        yield "User-Agent", options.user_agent or None
    if options.cookie:
        yield "Cookie", "; ".join(options.cookie)
    if options.range is not None:
        yield "Range", f"bytes={options.range}"
    if options.sends_data:
        yield FORM
    yield GZIP if options.compressed else PLAIN


def _field(text: str) -> Field:
    """Read "Name: value"; "Name;" is an empty field, "Name:" leaves a default out (curl)."""
    name, colon, value = text.partition(":")
    if not colon and text.endswith(";"):
        return text[:-1], ""
    if not colon or not name:
        raise CouldNot(f"--header: NAME: VALUE expected, got {text!r}")
    return name, value.strip() or None


def _lines_of(given: str) -> list[str]:
    """A field, or with @FILE those of a file, one a line."""
    if not given.startswith("@"):
        return [given]
    text = _octets_of("--header", given[1:]).decode("utf-8", "replace")
    return [line for line in text.splitlines() if line.strip()]


def basic(credentials: bytes) -> str:
    """The value of Authorization for "user:password". RFC 7617 §2."""
    if b":" not in credentials:
        credentials += b":"
    return "Basic " + b64encode(credentials).decode("ascii")


def _with_password(user: str) -> bytes:
    """The credentials; a password that is not there is asked for on the terminal (curl)."""
    if ":" in user:
        return user.encode()
    if not sys.stdin.isatty():
        raise CouldNot(f"--user: USER:PASSWORD expected, got {user!r}")
    password: str = typer.prompt(f"password of {user}", hide_input=True, err=True)
    return f"{user}:{password}".encode()


# --- content -------------------------------------------------------------------------------


def content_of(options: GetOptions) -> Content | None:
    """The content to send; None for none. Raises CouldNot if its file cannot be read."""
    if options.upload_file is not None:
        _require_readable(options.upload_file)
        return options.upload_file
    if options.form:
        return [form_part(text) for text in options.form]
    if not options.has_data:
        return None
    pieces = [_data(text) for text in options.data]
    pieces += [_data_binary(text) for text in options.data_binary]
    pieces += [_plain(text) for text in options.data_raw]
    return b"&".join(pieces)


def _plain(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _data(text: str) -> bytes:
    if not text.startswith("@"):
        return _plain(text)
    return _octets_of("--data", text[1:]).translate(None, LINE_ENDS)


def _data_binary(text: str) -> bytes:
    if not text.startswith("@"):
        return _plain(text)
    return _octets_of("--data-binary", text[1:])


def _octets_of(option: str, file: str) -> bytes:
    """What a file, or with "-" standard input, holds."""
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise CouldNot(f"{option}: {file}: {error.strerror}") from error


def _require_readable(file: Path) -> None:
    try:
        file.open("rb").close()
    except OSError as error:
        raise CouldNot(f"--upload-file: {file}: {error.strerror}") from error
