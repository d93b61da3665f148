"""What `perdure get` has besides the settings of a client, and what it means for a request."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from perdure.client.settings import ClientSettings
from perdure.commands.outcome import CouldNot
from perdure.config import Count

FORM: Final = ("Content-Type", "application/x-www-form-urlencoded")
"""What `-d` is said to be, unless a field says otherwise (curl)."""
PLAIN: Final = ("Accept-Encoding", "identity")
"""What comes is what is printed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GetOptions:
    """What `perdure get` has besides the settings of a client."""

    url: list[str] = field(default_factory=list, metadata={"argument": True, "metavar": "URL..."})
    """What to ask for: http://HOST[:PORT]/PATH or https://..."""
    requests: Count = field(default=1, metadata={"short": "-n"})
    """Requests to each URL."""
    connections: Count = field(default=1, metadata={"short": "-c"})
    """Requests at the same time, each on a connection of its own."""
    method: str | None = field(default=None, metadata={"short": "-X", "metavar": "METHOD"})
    """The method: GET, or POST where there is data."""
    data: str | None = field(default=None, metadata={"short": "-d", "metavar": "TEXT"})
    """The content to send; @FILE reads it from a file, @- from standard input."""
    header: list[str] = field(default_factory=list, metadata={"short": "-H", "metavar": "FIELD"})
    """A field to send, such as "Accept: text/html". May be repeated."""
    http1_0: bool = field(default=False, metadata={"flag": "--http1.0"})
    """Speak HTTP/1.0, and ask for persistence with the keep-alive option."""
    no_keep_alive: bool = False
    """Announce the close of the connection in every request."""
    pipeline: Count | None = None
    """Send up to so many requests on a connection without waiting for their responses."""
    output: Path | None = field(default=None, metadata={"short": "-o", "metavar": "FILE"})
    """Write the content of the response to a file."""
    include: bool = field(default=False, metadata={"short": "-i"})
    """Print the head of the response before its content."""
    ca_file: str | None = field(default=None, metadata={"metavar": "FILE"})
    """PEM file of the authorities that https servers are verified with; none: the system's."""
    verify: bool = True
    """Whether the certificates of https servers are verified."""

    def __post_init__(self) -> None:
        if (self.output is not None or self.include) and not self.single and self.url:
            how = "a pipeline" if self.pipeline is not None else str(self.total)
            raise ValueError(f"--output and --include take one request, got {how}")

    @property
    def total(self) -> int:
        """Requests altogether."""
        return self.requests * len(self.url)

    @property
    def single(self) -> bool:
        """True of one request, whose content is printed."""
        return self.total == 1 and self.pipeline is None

    @property
    def verb(self) -> str:
        """The method that is sent."""
        return self.method or ("GET" if self.data is None else "POST")


def adapted(settings: ClientSettings, options: GetOptions) -> ClientSettings:
    """The settings of a client, with what the options mean for it."""
    return replace(
        settings,
        max_per_origin=max(settings.max_per_origin, options.connections),
        max_total=max(settings.max_total, options.connections),
        http_version="1.0" if options.http1_0 else settings.http_version,
        persist=settings.persist and not options.no_keep_alive,
    )


def fields_of(options: GetOptions) -> list[tuple[str, str]]:
    """The fields to send.

    Raises:
        CouldNot: one of them has no colon.
    """
    fields = []
    for text in options.header:
        name, colon, value = text.partition(":")
        if not colon or not name:
            raise CouldNot(f"--header: NAME: VALUE expected, got {text!r}")
        fields.append((name, value.strip()))
    given = {name.lower() for name, _ in fields}
    if options.data is not None and "content-type" not in given:
        fields.append(FORM)
    if "accept-encoding" not in given:
        fields.append(PLAIN)
    return fields


def content_of(options: GetOptions) -> bytes | None:
    """The content to send; None for none. Raises CouldNot if its file cannot be read."""
    if options.data is None or not options.data.startswith("@"):
        return None if options.data is None else options.data.encode()
    if options.data == "@-":
        return sys.stdin.buffer.read()
    try:
        return Path(options.data[1:]).read_bytes()
    except OSError as error:
        raise CouldNot(f"--data: {options.data[1:]}: {error.strerror}") from error
