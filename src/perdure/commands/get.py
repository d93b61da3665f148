"""`perdure get`: requests, and what became of the connections they went over."""

from __future__ import annotations

import contextlib
import itertools
import logging
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from perdure.client.settings import ClientSettings
from perdure.commands.command import Command, Read
from perdure.commands.get_options import GetOptions, adapted, content_of, fields_of
from perdure.commands.outcome import NO, YES, CouldNot, Manner, print_json, say
from perdure.commands.report import HEADER, Row, Totals
from perdure.config import Part, Section

if TYPE_CHECKING:
    from perdure.client.models import Response
    from perdure.commands.pipelining import Pipeline, Plan

logger = logging.getLogger("perdure.commands")
Tell = Callable[[Row], None]


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
    """Share the requests to one URL among pipelines that run at the same time.

    Raises: what the first pipeline that failed raised, once all are over.
    """
    from perdure.commands.pipelining import Pipeline, dialler
    from perdure.wire.blocking import BlockingNetwork

    network = BlockingNetwork()
    dial = dialler(plan, network, verify=options.verify, ca_file=options.ca_file)
    results: SimpleQueue[Row | Pipeline | Exception] = SimpleQueue()

    def run_lane(pipeline: Pipeline, mine: Sequence[int]) -> None:
        try:
            for row in pipeline.run(mine):
                results.put(row)
        except Exception as error:
            results.put(error)
        results.put(pipeline)

    shares = [share for lane in range(options.connections) if (share := numbers[lane :: options.connections])]
    for share in shares:
        pipeline = Pipeline(plan, network, dial, connections.__next__)
        # A daemon, so that Ctrl-C does not wait for a server that is silent.
        threading.Thread(target=run_lane, args=(pipeline, share), daemon=True).start()
    collect(results, len(shares), tell, totals)


def collect(
    results: SimpleQueue[Row | Pipeline | Exception], pipelines: int, tell: Tell, totals: Totals
) -> None:
    """Tell of what pipelines report until all are over. Raises the first error among it."""
    errors = []
    while pipelines:
        result = results.get()
        if isinstance(result, Row):
            tell(result)
        elif isinstance(result, Exception):
            errors.append(result)
        else:
            totals.opened += result.opened
            totals.closes.update(result.closes)
            pipelines -= 1
    if errors:
        raise errors[0]


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
