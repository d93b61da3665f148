"""OpenTelemetry metrics of a client: its connections and its requests, under the standard names.

| instrument                        | kind                      | attributes                                |
|-----------------------------------|---------------------------|-------------------------------------------|
| `http.client.open_connections`    | observed                  | `http.connection.state` = active, idle    |
| `http.client.active_requests`     | observed                  |                                           |
| `http.client.connection.duration` | histogram, seconds        | `url.scheme`, `server.*`, `perdure.reason`|
| `http.client.request.duration`    | histogram, seconds        | method, status, `error.type`, `server.*`  |

What is observed is read from the client's own counters when the reader asks, and costs requests
nothing. A client that is not watched does not know that this file exists.

Names: OpenTelemetry semantic conventions for HTTP metrics.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import Any, Final

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation, get_meter_provider

from perdure.client.aio import AsyncClient
from perdure.client.effects import Flow
from perdure.client.exchange import Exchange
from perdure.client.sync import Client
from perdure.client.urls import Origin
from perdure.core.pool import Entry, Statistics
from perdure.core.reason import Reason

KNOWN_METHODS: Final = frozenset(
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"]
)
"""Others are told as _OTHER: who asks must not be able to make any number of series."""

REQUEST_SECONDS: Final = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
"""The boundaries that the conventions advise for requests."""
CONNECTION_SECONDS: Final = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300]
"""The same for connections."""


def watch(client: Client | AsyncClient, provider: MeterProvider | None = None) -> None:
    """Measure a client from now on.

    Args:
        client: of perdure; a transport of httpx has it as `client`.
        provider: of the meter; the global one unless given.

    Raises:
        ValueError: it is watched already.
    """
    Watch(client, provider or get_meter_provider())


class Watch:
    """What measures one client; the client holds it, and it does not hold the client."""

    def __init__(self, client: Client | AsyncClient, provider: MeterProvider) -> None:
        if client.shared.watch is not None:
            raise ValueError("this client is watched already")
        meter = provider.get_meter("perdure")
        self._requests = meter.create_histogram(
            "http.client.request.duration",
            unit="s",
            description="Duration of requests, to the end of their responses.",
            explicit_bucket_boundaries_advisory=REQUEST_SECONDS,
        )
        self._connections = meter.create_histogram(
            "http.client.connection.duration",
            unit="s",
            description="Duration of connections, from dialling to their end.",
            explicit_bucket_boundaries_advisory=CONNECTION_SECONDS,
        )
        meter.create_observable_up_down_counter(
            "http.client.open_connections",
            callbacks=[_observed(client, _open_connections)],
            unit="{connection}",
            description="Connections, in use and idle.",
        )
        meter.create_observable_up_down_counter(
            "http.client.active_requests",
            callbacks=[_observed(client, _active_requests)],
            unit="{request}",
            description="Requests that wait for a connection or use one.",
        )
        pool = client.shared.pool
        self._now, self._told_before = pool.now, pool.ended
        pool.ended = self.connection_ended
        client.shared.watch = self.watched

    def watched(self, exchange: Exchange, flow: Flow) -> Flow:
        """The flow of an exchange, timed."""
        began = self._now()
        try:
            yield from flow
        except BaseException as error:
            self._record(exchange, began, error)
            raise
        self._record(exchange, began, None)

    def _record(self, exchange: Exchange, began: float, error: BaseException | None) -> None:
        request = exchange.asked.request
        method = request.method.decode("latin-1")
        attributes = _where(exchange.asked.location.origin)
        attributes["http.request.method"] = method if method in KNOWN_METHODS else "_OTHER"
        response = exchange.response
        if response is not None:
            attributes["http.response.status_code"] = response.status
            attributes["network.protocol.version"] = ".".join(map(str, response.version))
            if response.status >= 400:
                attributes["error.type"] = str(response.status)
        if error is not None and not (isinstance(error, GeneratorExit) and response is not None):
            attributes["error.type"] = type(error).__qualname__
        self._requests.record(max(0.0, self._now() - began), attributes)

    def connection_ended(self, entry: Entry[Any], reason: Reason) -> None:
        """Record how long a connection lived."""
        self._told_before(entry, reason)
        attributes = _where(entry.origin)
        attributes["perdure.reason"] = reason.word
        self._connections.record(max(0.0, self._now() - entry.dialled_at), attributes)


def _where(origin: Any) -> dict[str, str | int]:
    assert isinstance(origin, Origin)
    return {"url.scheme": origin.scheme, "server.address": origin.host, "server.port": origin.port}


def _observed(
    client: Client | AsyncClient, read: Callable[[Statistics], Iterable[Observation]]
) -> Callable[[CallbackOptions], Iterable[Observation]]:
    """A callback that a reader calls for as long as the client lives."""
    alive = weakref.ref(client)

    def observe(options: CallbackOptions) -> Iterable[Observation]:
        found = alive()
        return [] if found is None else read(found.statistics())

    return observe


def _open_connections(counted: Statistics) -> Iterable[Observation]:
    yield Observation(counted.leased, {"http.connection.state": "active"})
    yield Observation(counted.idle, {"http.connection.state": "idle"})


def _active_requests(counted: Statistics) -> Iterable[Observation]:
    yield Observation(counted.leased + counted.waiting)
