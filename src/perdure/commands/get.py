"""`perdure get`: requests, and what became of the connections they went over."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

from perdure.client.settings import SUBJECTS as CLIENT_SUBJECTS
from perdure.client.settings import ClientSettings
from perdure.commands.command import Command, Read
from perdure.commands.get_options import SUBJECTS, GetOptions, adapted
from perdure.commands.outcome import NO, YES, CouldNot, Manner, print_json, say
from perdure.commands.report import HEADER, Row, Totals
from perdure.commands.write_out import check, filled
from perdure.config import Part, Section
from perdure.core import Reason

if TYPE_CHECKING:
    from perdure.commands.get_request import Wanted
    from perdure.commands.pipelining import Pipeline, Plan
    from perdure.commands.progress import Bar
    from perdure.wire.blocking import BlockingNetwork

logger = logging.getLogger("perdure.commands")
Tell = Callable[[Row], None]


def run(manner: Manner, read: Read) -> int:
    """Ask, and tell; of what was asked so far if it is interrupted."""
    from perdure.commands.get_request import wanted_of

    options, settings = read()
    settings = adapted(settings, options)
    if not options.url:
        raise CouldNot("get: a URL expected, got none")
    if options.write_out is not None:
        if manner.json:
            raise CouldNot("get: one of --json and --write-out expected, got both")
        check(options.write_out)
    wanted = wanted_of(options, settings)
    telling = Telling(manner, options)
    totals = Totals()
    try:
        if options.pipeline is not None:
            ask_in_pipelines(options, settings, wanted, telling.tell, totals)
        else:
            ask_in_turn(manner, options, settings, wanted, telling.tell, totals)
    except KeyboardInterrupt:
        totals.interrupted = True
        telling.finish(totals)
        raise
    finally:
        telling.bar.end()
    telling.finish(totals)
    return exit_status(telling.rows, totals)


def exit_status(rows: Sequence[Row], totals: Totals) -> int:
    """0 where every request was answered with a status below 400; 1 otherwise."""
    return YES if rows and totals.good == totals.requests else NO


class Telling:
    """Tells of requests as they are answered, and of their totals.

    Attributes:
        rows: of all requests so far.
        bar: how far it is, where a person watches.
    """

    def __init__(self, manner: Manner, options: GetOptions) -> None:
        self.rows: list[Row] = []
        self._manner = manner
        self._listed = not (options.single or manner.json or options.silent or options.write_out is not None)
        self._quiet = options.silent and not options.show_error
        self._single = options.single
        self._write_out = options.write_out
        self._with_url = len(options.url) > 1
        self.bar = bar_of(manner, options, wanted=not options.single, counts_octets=False)
        self.bar.begin("requests", options.total)

    def tell(self, row: Row) -> None:
        """Note one request, and print its line where one is wanted."""
        if self._listed:
            if not self.rows:
                print(HEADER)
            print(row.text(with_url=self._with_url))
        self.rows.append(row)
        self.bar.advance(1)
        if self._write_out is not None:
            print(filled(self._write_out, row), end="", flush=True)

    def finish(self, totals: Totals) -> None:
        """Tell of them all: nothing where one request prints its content, or nothing was asked."""
        self.bar.end()
        rows = sorted(self.rows, key=lambda row: row.number)
        totals.count(rows)
        if self._manner.json:
            print_json({"requests": [row.document() for row in rows], "totals": totals.document()})
        elif self._single:
            for line in totals.lines():
                logger.info("%s", line)
        elif rows and self._write_out is None:
            print("\n".join(totals.lines()))
        self._tell_errors(rows)

    def _tell_errors(self, rows: Sequence[Row]) -> None:
        """The first error, and how many more there were."""
        failed = [row for row in rows if row.error]
        if failed and not self._quiet:
            more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
            say(f"perdure: request {failed[0].number}: {failed[0].error}{more}")


def bar_of(manner: Manner, options: GetOptions, *, wanted: bool, counts_octets: bool) -> Bar:
    """A progress bar, seen where a person watches standard error and nothing else is told there."""
    from perdure.commands.progress import Bar, is_watched

    watched = wanted and not options.silent and not manner.verbosity and is_watched()
    return Bar(watched=watched, counts_octets=counts_octets)


# --- one after the other on each connection: the client --------------------------------------


def ask_in_turn(
    manner: Manner,
    options: GetOptions,
    settings: ClientSettings,
    wanted: Sequence[Wanted],
    tell: Tell,
    totals: Totals,
) -> None:
    """Send requests with a client, several at a time; tell of each one. Fills `totals`, whatever happens."""
    import sys

    from perdure.commands.asking import Asking
    from perdure.commands.delivery import Delivery
    from perdure.wire.network import run as run_loop

    saved = options.output not in (None, "-") or options.remote_name
    downloads = options.total == 1 and (saved or not sys.stdout.isatty())
    bar = bar_of(manner, options, wanted=downloads, counts_octets=True)
    delivery = Delivery(options, bar, printed=options.single and not manner.json)
    asking = Asking(options, settings, wanted, delivery, tell, totals, heads_told=manner.verbosity > 1)
    run_loop(asking.run())


# --- without waiting for responses: pipelines -----------------------------------------------


def ask_in_pipelines(
    options: GetOptions, settings: ClientSettings, wanted: Sequence[Wanted], tell: Tell, totals: Totals
) -> None:
    """Send requests in pipelines, one URL after the other; tell of each request.

    Fills `totals`, whatever happens.
    """
    from perdure.commands.asking import destinations_of
    from perdure.commands.destinations import DirectedBlockingNetwork
    from perdure.wire.clock import now

    numbers = itertools.count(1)
    plans = [plan_of(one, options, settings) for one in wanted]
    tell_passed_over(plans, options)
    network = DirectedBlockingNetwork(destinations_of(options))
    pipelines: list[Pipeline] = []
    began = now()
    try:
        for index, plan in enumerate(plans):
            mine = range(index + 1, options.total + 1, len(plans))
            ask_one_in_pipelines(plan, mine, options, network, tell, pipelines, numbers)
    finally:
        totals.seconds = now() - began
        totals.connect_seconds = network.connect_seconds
        for pipeline in pipelines:
            totals.opened += pipeline.opened
            totals.closes.update(pipeline.closes)
            left = pipeline.opened - pipeline.closes.total()
            totals.closes.update({Reason.CANCELLED: left} if left else {})


def tell_passed_over(plans: Sequence[Plan], options: GetOptions) -> None:
    """Warn of a proxy of the environment that requests outside a pipeline would go through."""
    from perdure.client.errors import InvalidURL
    from perdure.client.proxies import make_routes
    from perdure.commands.asking import proxies_of
    from perdure.wire.address import address_text

    routes = make_routes(proxies_of(options), trust_env=True)
    if routes is None or options.silent or options.unix_socket is not None:
        return
    for plan in plans:
        try:
            proxy = routes.through(plan.location.origin).proxy
        except InvalidURL:  # what is not used need not be usable
            continue
        if proxy is not None:
            where = address_text((proxy.host, proxy.port))
            say(f"perdure: --pipeline goes without the proxy of the environment, {proxy.scheme}://{where}")
            return


def ask_one_in_pipelines(
    plan: Plan,
    numbers: Sequence[int],
    options: GetOptions,
    network: BlockingNetwork,
    tell: Tell,
    pipelines: list[Pipeline],
    connections: Iterator[int],
) -> None:
    """Share the requests to one URL among pipelines that run at the same time.

    Raises: what the first pipeline that failed raised, once all are over.
    """
    from perdure.commands.asking import tls_of
    from perdure.commands.pipelining import Pipeline, dialler
    from perdure.wire.errors import ConnectFailed

    dial = dialler(plan, network, tls_of(options))
    results: SimpleQueue[Row | Exception | None] = SimpleQueue()

    def run_lane(pipeline: Pipeline, mine: Sequence[int]) -> None:
        try:
            for row in pipeline.run(mine):
                results.put(row)
        except Exception as error:
            results.put(error)
        results.put(None)

    shares = [share for lane in range(options.connections) if (share := numbers[lane :: options.connections])]
    own = [Pipeline(plan, network, dial, connections.__next__) for _ in shares]
    pipelines += own
    for pipeline, share in zip(own, shares, strict=True):
        # A daemon, so that Ctrl-C does not wait for a server that is silent.
        threading.Thread(target=run_lane, args=(pipeline, share), daemon=True).start()
    try:
        collect(results, len(shares), tell)
    except ConnectFailed as error:
        # Told once, as of a client that reaches nobody; with a connection there were rows.
        if options.write_out is not None and not any(pipeline.opened for pipeline in own):
            tell(Row(numbers[0], plan.location.url, ends=error.reason, error=str(error)))
        raise


def collect(results: SimpleQueue[Row | Exception | None], lanes: int, tell: Tell) -> None:
    """Tell of what lanes report until all are over. Raises the first error among it."""
    errors = []
    while lanes:
        result = results.get()
        if isinstance(result, Row):
            tell(result)
        elif isinstance(result, Exception):
            errors.append(result)
        else:
            lanes -= 1
    if errors:
        raise errors[0]


def plan_of(wanted: Wanted, options: GetOptions, settings: ClientSettings) -> Plan:
    """What a pipeline has to do.

    Raises:
        CouldNot: the method may not be pipelined.
    """
    from perdure.client.urls import locate
    from perdure.commands.get_request import request_of
    from perdure.commands.pipelining import Plan
    from perdure.core.retry import IDEMPOTENT

    if wanted.method.encode() not in IDEMPOTENT or wanted.content is not None:
        got = wanted.method if wanted.content is None else f"{wanted.method} with content"
        raise CouldNot(f"--pipeline: an idempotent method without content expected, got {got} (9112 §9.3.2)")
    request = request_of(wanted, settings)
    return Plan(locate(wanted.url), request, settings, options.pipeline or 1, options.longest)


COMMAND: Final = Command(
    Section(
        "get",
        (
            Part(GetOptions, subjects=SUBJECTS),
            Part(ClientSettings, title="Toward servers", subjects=CLIENT_SUBJECTS),
        ),
    ),
    help="Send requests, and show what became of the connections.\n\nOne request prints its content. Several "
    "print a line each: number, status, octets, time, connection, whether it was used before, how long it "
    "lay idle, and what ends it; then totals, and why each connection was closed.\n\nExit status 0: every "
    "request was answered with a status below 400. 1: one was not, or failed. 2: it could not be asked: bad "
    "arguments, or no connection to begin with. 130: interrupted.",
    example="perdure get -n 100 -c 4 http://127.0.0.1:8000/",
    run=run,
)
