"""`perdure get`: requests, and what became of the connections they went over."""

from __future__ import annotations

import contextlib
import itertools
import logging
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from perdure.client.settings import ClientSettings
from perdure.commands.command import Command, Read
from perdure.commands.outcome import NO, YES, CouldNot, Manner, print_json, say
from perdure.commands.report import HEADER, Row, Totals
from perdure.config import Count, Part, Section

if TYPE_CHECKING:
    from perdure.client.models import Response
    from perdure.commands.pipelining import Plan

logger = logging.getLogger("perdure.commands")
Tell = Callable[[Row], None]
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


def run(manner: Manner, read: Read) -> int:
    """Ask, and tell."""
    options, settings = read()
    settings = adapted(settings, options)
    if not options.url:
        raise CouldNot("get: a URL expected, got none")
    rows: list[Row] = []

    def tell(row: Row) -> None:
        if not options.single and not manner.json:
            print(row.text() if rows else f"{HEADER}\n{row.text()}")
        rows.append(row)

    if options.pipeline is not None:
        totals = ask_in_pipelines(options, settings, tell)
    else:
        printed = options.single and (options.output is not None or not manner.json)
        totals = ask_in_turn(options, settings, tell, printed)
    totals.count(rows)
    if manner.json:
        rows.sort(key=lambda row: row.number)
        print_json({"requests": [row.document() for row in rows], "totals": totals.document()})
    elif options.single:
        for line in totals.lines():
            logger.info("%s", line)
    else:
        print("\n".join(totals.lines()))
    return exit_status(rows, totals)


def adapted(settings: ClientSettings, options: GetOptions) -> ClientSettings:
    """The settings of a client, with what the options mean for it."""
    return replace(
        settings,
        max_per_origin=max(settings.max_per_origin, options.connections),
        max_total=max(settings.max_total, options.connections),
        http_version="1.0" if options.http1_0 else settings.http_version,
        persist=settings.persist and not options.no_keep_alive,
    )


def exit_status(rows: Sequence[Row], totals: Totals) -> int:
    """0 where all is good; 2 where one request could not be made at all; 1 otherwise."""
    for row in rows:
        if row.error:
            say(f"perdure: request {row.number}: {row.error}")
            break
    return YES if totals.good == totals.requests else NO


# --- one after the other on each connection: the client --------------------------------------


def ask_in_turn(options: GetOptions, settings: ClientSettings, tell: Tell, printed: bool) -> Totals:
    """Send requests with a client, several at a time; tell of each one.

    Args:
        printed: whether the content of responses is printed, or written to the file.
    """
    from perdure.wire.network import run as run_loop

    content = content_of(options)
    fields = fields_of(options)
    for url in options.url:
        check_url(url)
    return run_loop(_ask_in_turn(options, settings, tell, printed, fields, content))


async def _ask_in_turn(
    options: GetOptions,
    settings: ClientSettings,
    tell: Tell,
    printed: bool,
    fields: Sequence[tuple[str, str]],
    content: bytes | None,
) -> Totals:
    import asyncio

    from perdure.client.aio import AsyncClient
    from perdure.client.errors import ConnectError, ExchangeError
    from perdure.wire.clock import now

    jobs = enumerate(itertools.chain.from_iterable(itertools.repeat(options.url, options.requests)), 1)
    totals = Totals()
    impossible: list[ConnectError] = []

    async def work() -> None:
        for number, url in jobs:
            if impossible:
                return
            began = now()
            try:
                response = await client.request(options.verb, url, headers=fields, content=content)
            except ExchangeError as error:
                if isinstance(error, ConnectError) and not totals.answered:
                    impossible.append(error)
                    return
                tell(failed_row(number, url, now() - began, error))
                continue
            totals.answered += 1
            seconds = now() - began
            tell(answered_row(number, url, seconds, response))
            tell_exchange(number, options.verb, seconds, response)
            if printed:
                deliver(response, options)

    began = now()
    async with AsyncClient(verify=options.verify, ca_file=options.ca_file, **asdict(settings)) as client:
        await asyncio.gather(*(work() for _ in range(options.connections)))
        totals.seconds = now() - began
    if impossible:
        raise impossible[0]
    totals.answered = 0  # counted from the rows
    statistics = client.statistics()
    totals.opened = statistics.dialled
    totals.closes.update(statistics.closes)
    return totals


def answered_row(number: int, url: str, seconds: float, response: Response) -> Row:
    """The row of a whole response."""
    used = response.connection
    octets = len(response.raw_content)
    idle = used.idle_seconds if used.reused else 0.0
    return Row(number, url, response.status, octets, seconds, used.id, used.reused, idle, used.ends)


def failed_row(number: int, url: str, seconds: float, error: Any) -> Row:
    """The row of a failed exchange."""
    text = f"{error} (the request was sent: {error.request_sent})"
    return Row(number, url, None, 0, seconds, None, error.reused, error.idle_seconds, error.reason, text)


def tell_exchange(number: int, method: str, seconds: float, response: Response) -> None:
    """The story of one exchange: where it went and what becomes of the connection; with -vv the head."""
    used = response.connection
    how = f"after {used.idle_seconds:.3f} s idle, use {used.uses}" if used.reused else "just opened"
    logger.info("connection %d: request %d, %s %s (%s)", used.id, number, method, response.url, how)
    for line in head_of(response).decode("latin-1").splitlines():
        logger.debug("connection %d: < %s", used.id, line)
    fate = "persists" if used.ends is None else f"ends: {used.ends}"
    logger.info(
        "connection %d: %d %s, %d octets in %.2f ms; %s",
        used.id,
        response.status,
        response.reason_phrase,
        len(response.raw_content),
        seconds * 1000,
        fate,
    )


def deliver(response: Response, options: GetOptions) -> None:
    """Print one response, or write it to the file."""
    with contextlib.ExitStack() as stack:
        out = sys.stdout.buffer
        if options.output is not None:
            out = stack.enter_context(options.output.open("wb"))
        if options.include:
            out.write(head_of(response))
        out.write(response.raw_content)
        out.flush()


def head_of(response: Response) -> bytes:
    """The head of a response, as received but for its line ends."""
    start = f"{response.http_version} {response.status} {response.reason_phrase}\r\n".encode("latin-1")
    return start + b"".join(line.octets for line in response.fields) + b"\r\n"


def check_url(url: str) -> None:
    """Raises InvalidURL where a URL cannot be asked for."""
    from perdure.client.urls import locate

    locate(url)


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


# --- without waiting for responses: pipelines -----------------------------------------------


def ask_in_pipelines(options: GetOptions, settings: ClientSettings, tell: Tell) -> Totals:
    """Send requests in pipelines, one URL after the other; tell of each request."""
    from perdure.wire.clock import now

    numbers = itertools.count(1)
    totals = Totals()
    plans = [plan_of(url, options, settings) for url in options.url]
    began = now()
    for index, plan in enumerate(plans):
        mine = range(index + 1, options.total + 1, len(plans))
        ask_one_in_pipelines(plan, mine, options, tell, totals, numbers)
    totals.seconds = now() - began
    return totals


def ask_one_in_pipelines(
    plan: Plan,
    numbers: Sequence[int],
    options: GetOptions,
    tell: Tell,
    totals: Totals,
    connections: Iterator[int],
) -> None:
    """Share the requests to one URL among pipelines that run at the same time."""
    from concurrent.futures import ThreadPoolExecutor

    from perdure.commands.pipelining import Pipeline, dialler
    from perdure.wire.blocking import BlockingNetwork

    network = BlockingNetwork()
    dial = dialler(plan, network, verify=options.verify, ca_file=options.ca_file)
    lock = threading.Lock()

    def run_lane(mine: Sequence[int]) -> None:
        pipeline = Pipeline(plan, network, dial, connections.__next__)
        try:
            for row in pipeline.run(mine):
                with lock:
                    tell(row)
        finally:
            with lock:
                totals.opened += pipeline.opened
                totals.closes.update(pipeline.closes)

    lanes = options.connections
    shares = [numbers[lane::lanes] for lane in range(lanes)]
    with ThreadPoolExecutor(lanes) as pool:
        for done in [pool.submit(run_lane, share) for share in shares if share]:
            done.result()


def plan_of(url: str, options: GetOptions, settings: ClientSettings) -> Plan:
    """What a pipeline has to do.

    Raises:
        CouldNot: the method may not be pipelined.
        InvalidURL: there is no such URL.
    """
    from perdure.client.urls import locate
    from perdure.commands.pipelining import Plan
    from perdure.core import make_lines
    from perdure.core.retry import IDEMPOTENT

    method = options.verb.encode()
    if method not in IDEMPOTENT or options.data is not None:
        got = f"{options.verb} with content" if options.data is not None else options.verb
        raise CouldNot(f"--pipeline: an idempotent method without content expected, got {got} (9112 §9.3.2)")
    location = locate(url)
    pairs = [(name.encode("latin-1"), value.encode("utf-8")) for name, value in fields_of(options)]
    if not any(name.lower() == b"host" for name, _ in pairs):
        pairs.insert(0, (b"Host", location.host))
    return Plan(location, method, make_lines(pairs), settings, options.pipeline or 1)


COMMAND: Final = Command(
    Section("get", (Part(GetOptions), Part(ClientSettings, title="Settings toward servers"))),
    help="Send requests, and show what became of the connections.\n\nOne request prints its content. Several "
    "print a line each: number, status, octets, time, connection, whether it was used before and how long it "
    "lay idle; then totals, and why each connection was closed. The exit status is 0 if every status was "
    "below 400, 1 if one was not or a request failed, 2 if there was no connection.",
    example="perdure get -n 100 -c 4 http://127.0.0.1:8000/",
    run=run,
)
