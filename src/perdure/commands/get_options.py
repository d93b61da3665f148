"""What `perdure get` has besides the settings of a client. Names and letters are curl's where free."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from perdure.client.settings import ClientSettings
from perdure.config import Count, Seconds

Redirects: TypeAlias = Annotated[
    int, msgspec.Meta(ge=-1, title="NUMBER", description="a number, or -1 for any number,")
]
ENVIRONMENT: Final = "environment"
NO_PROXY: Final = ("none", "")


_PART: Final = re.compile(r"(\d+)-(\d*)|-\d+", re.ASCII)


def _check_range(text: str) -> None:
    """Refuse what is no ranges-specifier of octets (RFC 9110 §14.1.2). Raises ValueError."""
    for part in text.split(","):
        found = _PART.fullmatch(part.strip())
        if not found or (found[2] and int(found[2]) < int(found[1])):
            raise ValueError(f"--range: FIRST-LAST, FIRST- or -LAST expected, got {part.strip()!r}")


def _also(*names: str, **metadata: Any) -> dict[str, Any]:
    return {"also": names, **metadata}


@dataclass(frozen=True, slots=True, kw_only=True)
class GetOptions:
    """What `perdure get` has besides the settings of a client."""

    url: list[str] = field(default_factory=list, metadata={"argument": True, "metavar": "URL..."})
    """What to ask for: http://HOST[:PORT]/PATH or https://..."""

    requests: Count = field(default=1, metadata=_also("-n"))
    """Requests to each URL."""
    connections: Count = field(default=1, metadata=_also("-c"))
    """Requests at the same time, each on a connection of its own."""
    interval: Seconds = 0.0
    """Wait between a response and the next request of the same lane: tries a server's idle limit."""
    pipeline: Count | None = None
    """Send up to so many requests on a connection without waiting for their responses."""
    http1_0: bool = field(default=False, metadata=_also("-0", flag="--http1.0"))
    """Speak HTTP/1.0, and ask for persistence with the keep-alive option."""
    no_keep_alive: bool = False
    """Announce the close of the connection in every request."""

    method: str | None = field(default=None, metadata=_also("-X", "--request", metavar="METHOD"))
    """The method: GET, or POST where there is content."""
    head: bool = field(default=False, metadata=_also("-I"))
    """Ask for the head alone (HEAD), and print it."""
    header: list[str] = field(default_factory=list, metadata=_also("-H", metavar="FIELD"))
    """A field to send, "Accept: text/html"; "Name;" sends it empty, "Name:" leaves a default out, @FILE
    reads fields from a file. May be repeated."""
    user: str | None = field(default=None, metadata=_also("-u", metavar="USER:PASSWORD"))
    """Credentials to send (Basic); without a password it is asked for. Also taken from the URL."""
    digest: bool = False
    """Answer a challenge with Digest instead of sending Basic unasked."""
    user_agent: str | None = field(default=None, metadata=_also("-A", metavar="TEXT"))
    """What User-Agent says; empty: nothing."""
    cookie: list[str] = field(default_factory=list, metadata=_also("-b", metavar="NAME=VALUE"))
    """A cookie to send; those that responses set are not kept. May be repeated."""
    range: str | None = field(default=None, metadata=_also("-r", metavar="FIRST-LAST"))
    """Ask for a part of the content: 0-499, 500- or -500 octets; several are parted by commas."""
    compressed: bool = False
    """Ask for compressed content, and print it decompressed."""

    data: list[str] = field(default_factory=list, metadata=_also("-d", metavar="TEXT"))
    """Content to send, as a form; @FILE reads it from a file without its line ends, @- from standard input.
    Several are joined with "&"."""
    data_binary: list[str] = field(default_factory=list, metadata={"metavar": "TEXT"})
    """The same, with the file as it is. Joined after those of --data."""
    data_raw: list[str] = field(default_factory=list, metadata={"metavar": "TEXT"})
    """The same, with an @ at its beginning taken as it is. Joined after those of --data-binary."""
    form: list[str] = field(default_factory=list, metadata=_also("-F", metavar="NAME=TEXT"))
    """A part of a form (multipart/form-data); NAME=@FILE is a file, NAME=<FILE its text. May be repeated."""
    in_query: bool = field(default=False, metadata=_also("-G", flag="--get"))
    """Append the data to the query of the URL instead of sending it as content."""
    upload_file: Path | None = field(default=None, metadata=_also("-T", metavar="FILE"))
    """Send a file as it is, with PUT."""

    location: bool = field(default=False, metadata=_also("-L"))
    """Follow redirects; credentials stay with the server that they were given for."""
    max_redirs: Redirects = 20
    """Redirects that are followed for one request; -1: any number."""
    output: str | None = field(default=None, metadata=_also("-o", metavar="FILE"))
    """Write the content of the response to a file; "-" is standard output, whatever it is."""
    remote_name: bool = field(default=False, metadata=_also("-O"))
    """Write the content to a file named as the URL's last part."""
    output_dir: Path | None = field(default=None, metadata={"metavar": "FOLDER"})
    """Where the files of -o and -O go."""
    include: bool = field(default=False, metadata=_also("-i"))
    """Print the head of the response before its content."""
    dump_header: str | None = field(default=None, metadata=_also("-D", metavar="FILE"))
    """Write the heads of responses to a file; "-" is standard output."""
    continue_at: str | None = field(default=None, metadata=_also("-C", metavar="OCTETS"))
    """Go on with a download after so many octets of its file; "-": where the file ends. A file
    that is complete already is left as it is."""
    write_out: str | None = field(default=None, metadata=_also("-w", metavar="TEXT"))
    """Print this after each request, and no lines and totals; %{http_code}, %{time_total}, %{size_download},
    %{num_connects}, %{connection_number}, %{reused} and others stand for what became of it."""
    fail: bool = field(default=False, metadata=_also("-f"))
    """Deliver no content of a response with status 400 or above."""

    max_time: Seconds | None = field(default=None, metadata=_also("-m"))
    """The longest that one request may take altogether; 0: any time."""
    proxy: str = field(default=ENVIRONMENT, metadata=_also("-x", metavar="URL"))
    """Go through this proxy, http[s]://[USER:PASSWORD@]HOST[:PORT]; "none" or nothing: through none;
    "environment": as http_proxy, https_proxy, all_proxy and no_proxy say."""
    noproxy: str | None = field(default=None, metadata={"metavar": "HOSTS"})
    """Hosts, domains and networks to reach without the proxy, parted by commas; "*": all."""
    proxytunnel: bool = field(default=False, metadata=_also("-p"))
    """Ask the proxy for a tunnel (CONNECT) to http servers too."""
    proxy_connection: bool = False
    """Ask the proxy to keep connections with Proxy-Connection, as Netscape did."""
    unix_socket: str | None = field(default=None, metadata={"metavar": "PATH"})
    """Connect to a unix socket, whatever the URL says."""
    resolve: list[str] = field(default_factory=list, metadata={"metavar": "HOST:PORT:ADDRESS"})
    """Connect to this address instead of the host's own. May be repeated."""
    connect_to: list[str] = field(default_factory=list, metadata={"metavar": "HOST:PORT:HOST:PORT"})
    """Connect to the second host and port instead of the first; empty: any, or the same. May be repeated."""

    cacert: str | None = field(default=None, metadata=_also("--ca-file", metavar="FILE"))
    """PEM file of the authorities that https servers are verified with. Otherwise: the system's."""
    insecure: bool = field(default=False, metadata=_also("-k"))
    """Accept any certificate of anybody."""
    cert: str | None = field(default=None, metadata=_also("-E", metavar="FILE"))
    """PEM file of the certificate to show to a server that asks for one."""
    key: str | None = field(default=None, metadata={"metavar": "FILE"})
    """PEM file of its private key, where it is not in the certificate's."""

    silent: bool = field(default=False, metadata=_also("-s"))
    """No line for each request, no progress, no errors: the content, or the totals."""
    show_error: bool = field(default=False, metadata=_also("-S"))
    """Show errors in spite of --silent."""

    def __post_init__(self) -> None:
        saved = self.output is not None or self.include
        if saved and not self.single and self.url:
            how = "a pipeline" if self.pipeline is not None else str(self.total)
            raise ValueError(f"--output and --include take one request, got {how}")
        if self.remote_name and (self.requests > 1 or self.pipeline is not None):
            how = "a pipeline" if self.pipeline is not None else str(self.requests)
            raise ValueError(f"--remote-name takes one request to each URL, got {how}")
        if self.remote_name and self.output is not None:
            raise ValueError("one of --output and --remote-name expected, got both")
        if self.range is not None:
            _check_range(self.range)
        if self.continue_at is not None:
            self._check_continuing(self.continue_at)
        contents = (self.upload_file is not None, self.has_data, bool(self.form))
        if sum(contents) > 1:
            raise ValueError("one of --data, --form and --upload-file expected, got more")
        through = self.proxy not in (ENVIRONMENT, *NO_PROXY)
        if self.pipeline is not None and (self.location or self.digest or through):
            raise ValueError("--pipeline goes without --location, --digest and --proxy, got one of them")
        if self.pipeline is not None and self.dump_header is not None:
            raise ValueError("--pipeline goes without --dump-header, got it")
        if self.key is not None and self.cert is None:
            raise ValueError("key: its certificate expected in cert, got none")

    def _check_continuing(self, start: str) -> None:
        if start != "-" and not start.isdecimal():
            raise ValueError(f'--continue-at: a number of octets, or "-", expected, got {start!r}')
        if self.range is not None:
            raise ValueError("one of --range and --continue-at expected, got both")
        if not self.single or (self.output in (None, "-") and not self.remote_name):
            raise ValueError("--continue-at: the file of one request expected in --output, got none")

    @property
    def has_data(self) -> bool:
        """True if --data, --data-binary or --data-raw gave something."""
        return bool(self.data or self.data_binary or self.data_raw)

    @property
    def total(self) -> int:
        """Requests altogether."""
        return self.requests * len(self.url)

    @property
    def longest(self) -> float | None:
        """Seconds that one request may take; None for any time."""
        return self.max_time or None

    @property
    def most_redirects(self) -> int:
        """That are followed for one request."""
        return sys.maxsize if self.max_redirs < 0 else self.max_redirs

    @property
    def single(self) -> bool:
        """True of one request, whose content is printed."""
        return self.total == 1 and self.pipeline is None

    @property
    def sends_data(self) -> bool:
        """True if there is content that --data and its like gave."""
        return self.has_data and not self.in_query

    @property
    def verb(self) -> str:
        """The method that is sent."""
        if self.method:
            return self.method
        if self.head:
            return "HEAD"
        if self.upload_file is not None:
            return "PUT"
        return "POST" if self.sends_data or self.form else "GET"


SUBJECTS: Final[Mapping[str, str]] = {
    "requests": "How many, and over which connections",
    "method": "The request",
    "data": "Its content",
    "location": "The response",
    "max_time": "How long, and where to",
    "cacert": "TLS",
    "silent": "What is told",
}
"""What the options are about, from the named one on: the headlines of the help."""


def adapted(settings: ClientSettings, options: GetOptions) -> ClientSettings:
    """The settings of a client, with what the options mean for it."""
    return replace(
        settings,
        max_per_origin=max(settings.max_per_origin, options.connections),
        max_total=max(settings.max_total, options.connections),
        http_version="1.0" if options.http1_0 else settings.http_version,
        persist=settings.persist and not options.no_keep_alive,
    )
