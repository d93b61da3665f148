"""Requests of a client, several at a time, for `perdure get`: each response is delivered as it comes."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final

from perdure.client.aio import AsyncClient, AsyncStreamedResponse
from perdure.client.digest import DigestAuth
from perdure.client.errors import ConnectError, ExchangeError, RedirectError
from perdure.client.proxies import Proxies
from perdure.client.settings import ClientSettings
from perdure.commands.delivery import Delivery, DoesNotGoOn, is_complete
from perdure.commands.destinations import Destinations, DirectedNetwork
from perdure.commands.get_options import ENVIRONMENT, NO_PROXY, GetOptions
from perdure.commands.get_request import Wanted
from perdure.commands.outcome import CouldNot, say
from perdure.commands.report import Row, Totals
from perdure.commands.story import TalkativeClient, tell_exchanges, tell_response
from perdure.core import Reason
from perdure.wire.clock import now
from perdure.wire.errors import TlsSettings
from perdure.wire.tls import TlsContext, client_context

Tell = Callable[[Row], None]
TLS_FLAGS: Final = {"authorities": "--cacert", "certificate": "--cert", "key": "--key"}
"""What names the files that `TlsSettings` tells of."""


class Asking:
    """Sends requests with one client and tells of each one."""

    def __init__(
        self,
        options: GetOptions,
        settings: ClientSettings,
        wanted: Sequence[Wanted],
        delivery: Delivery,
        tell: Tell,
        totals: Totals,
        *,
        heads_told: bool,
    ) -> None:
        """Ask nothing yet.

        Args:
            totals: gets connections and closes; complete once `run` is over, however it ended.
            heads_told: whether the story has the heads of requests.

        Raises:
            CouldNot: --resolve or --connect-to cannot be understood.
        """
        self._totals = totals
        self._options = options
        self._settings = settings
        self._delivery = delivery
        self._tell = tell
        self._make_client = TalkativeClient if heads_told else AsyncClient
        self._network = DirectedNetwork(destinations_of(options))
        repeated = itertools.repeat(wanted, options.requests)
        self._jobs: Iterator[tuple[int, Wanted]] = enumerate(itertools.chain.from_iterable(repeated), 1)
        self._several = len(wanted) > 1
        self._answered = False
        self._unreachable: dict[str, ConnectError] = {}

    async def run(self) -> None:
        """Ask it all.

        Raises:
            ConnectError: no connection came about, and nothing was answered.
            CouldNot: a file of certificates or keys cannot be used.
        """
        options, totals = self._options, self._totals
        client = self._make_client(
            tls=tls_of(options),
            network=self._network,
            follow_redirects=options.location,
            max_redirects=options.most_redirects,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # only what -b says is sent
            trust_env=False,  # so is what -u says
            proxy=proxies_of(options),
            **asdict(self._settings),
        )
        began = now()
        try:
            async with client:
                await asyncio.gather(*(self._lane(client) for _ in range(options.connections)))
                totals.seconds = now() - began
        finally:
            totals.seconds = totals.seconds or now() - began
            statistics = client.statistics()
            totals.opened = statistics.dialled
            totals.closes.update(statistics.closes)
            totals.connect_seconds = self._network.connect_seconds
        if self._unreachable and not self._answered:
            raise next(iter(self._unreachable.values()))

    async def _lane(self, client: AsyncClient) -> None:
        """One request after the other."""
        waits = 0.0
        for number, wanted in self._jobs:
            if wanted.url in self._unreachable:
                continue
            if waits:
                await asyncio.sleep(waits)
            waits = self._options.interval
            row = await self._ask(client, number, wanted)
            if row is not None:
                self._tell(row)

    async def _ask(self, client: AsyncClient, number: int, wanted: Wanted) -> Row | None:
        """The row of one request; None where its server cannot be reached, which is told once."""
        began = now()
        longest = self._options.longest
        try:
            async with asyncio.timeout(longest):
                row = await self._exchange(client, number, wanted, began)
        except TimeoutError:
            error = f"it took longer than {longest:g} s (--max-time)"
            return Row(number, wanted.url, seconds=now() - began, ends=Reason.CANCELLED, error=error)
        except ConnectError as error:
            if self._answered:
                return failed_row(number, wanted.url, now() - began, error)
            first = wanted.url not in self._unreachable
            self._unreachable.setdefault(wanted.url, error)
            told = first and (self._several or self._options.write_out is not None)
            return failed_row(number, wanted.url, now() - began, error) if told else None
        except ExchangeError as error:
            return failed_row(number, wanted.url, now() - began, error)
        except (RedirectError, DoesNotGoOn) as error:
            row = Row(number, wanted.url, seconds=now() - began, error=str(error))
        self._answered = True
        return row

    async def _exchange(self, client: AsyncClient, number: int, wanted: Wanted, began: float) -> Row:
        with ExitStack() as stack:
            given = wanted.open_content(stack)
            given["headers"] = wanted.fields
            given["auth"] = DigestAuth(*wanted.login) if wanted.login is not None else None
            asking = client.stream(wanted.method, wanted.url, **given)
            async with asking as response:
                tell_exchanges(number, response)
                octets = await self._receive(response)
        seconds = now() - began
        used = response.connection
        idle = used.idle_seconds if used.reused else 0.0
        row = Row(
            number, response.url, response.status, octets, seconds, used.id, used.reused, idle, used.ends
        )
        tell_response(row, response)
        if is_complete(self._options, response):
            if not self._options.silent:
                say("perdure: --continue-at: the file is complete already")
            return row._replace(complete=True)
        if self._options.fail and not row.good:
            row = row._replace(error=f"the server answered {response.status} {response.reason_phrase}")
        return row

    async def _receive(self, response: AsyncStreamedResponse) -> int:
        """Deliver the content; the octets of it."""
        octets = 0
        pieces = response.aiter_bytes() if self._options.compressed else response.aiter_raw()
        with self._delivery.open(response) as deliver:
            async for piece in pieces:
                octets += len(piece)
                deliver(piece)
        return octets


def destinations_of(options: GetOptions) -> Destinations:
    """Where to connect. Raises CouldNot where that cannot be understood."""
    return Destinations(options.resolve, options.connect_to, options.unix_socket)


def proxies_of(options: GetOptions) -> Proxies | None:
    """What to go through; None for no proxy at all."""
    if options.proxy in NO_PROXY:
        return None
    return Proxies(
        url="" if options.proxy == ENVIRONMENT else options.proxy,
        no_proxy=options.noproxy,
        tunnel=options.proxytunnel,
        proxy_connection=options.proxy_connection,
    )


def tls_of(options: GetOptions) -> TlsContext:
    """What https is spoken with. Raises CouldNot where a file of certificates or keys cannot be used."""
    try:
        return client_context(
            verify=not options.insecure, ca_file=options.cacert, certificate=options.cert, key=options.key
        )
    except TlsSettings as error:
        raise CouldNot(f"{TLS_FLAGS[error.file]}: {error}") from error


def failed_row(number: int, url: str, seconds: float, error: ExchangeError) -> Row:
    """The row of a failed exchange."""
    text = f"{error} (the request was sent: {error.request_sent})"
    return Row(number, url, None, 0, seconds, None, error.reused, error.idle_seconds, error.reason, text)
