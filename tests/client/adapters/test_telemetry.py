"""OpenTelemetry's own reader is told of connections and requests under the standard names."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import subprocess
import sys
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import perdure
from perdure.client.adapters.telemetry import watch
from perdure.wire.scripted import FIN, REFUSED, NoAnswer, Pause, Script, ScriptedNetwork, Until
from tests.client.adapters.conftest import scripted_origin
from tests.client.conftest import BLANK, Peer, answer, last_words, says

HELLO = answer(b"hello")
URL = "http://origin.test/"


class Meter:
    """A reader in memory and its provider."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self.provider = MeterProvider([self._reader])

    def points(self, name: str) -> list[Any]:
        """The points of one instrument, as of now."""
        data = self._reader.get_metrics_data()
        metrics = [
            metric
            for resource in (data.resource_metrics if data else [])
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]
        return [point for metric in metrics if metric.name == name for point in metric.data.data_points]

    def states(self) -> dict[str, int]:
        """Open connections by state."""
        points = self.points("http.client.open_connections")
        return {point.attributes["http.connection.state"]: point.value for point in points}


@pytest.fixture
def meter() -> Meter:
    return Meter()


def watched(
    meter: Meter, *scripts: Peer | NoAnswer, **settings: Any
) -> tuple[perdure.Client, ScriptedNetwork]:
    network = ScriptedNetwork(scripts)
    client = perdure.Client(network=network, **settings)
    watch(client, meter.provider)
    return client, network


def slow() -> Script:
    yield Until(BLANK)
    yield Pause(2.0)
    yield HELLO


def test_connections_and_requests_are_counted_by_state(meter: Meter) -> None:
    client, _ = watched(meter, says(HELLO, HELLO))
    assert meter.states() == {"active": 0, "idle": 0}
    with client.stream("GET", URL) as response:
        assert meter.states() == {"active": 1, "idle": 0}
        assert [point.value for point in meter.points("http.client.active_requests")] == [1]
        response.read()
    assert meter.states() == {"active": 0, "idle": 1}
    assert [point.value for point in meter.points("http.client.active_requests")] == [0]
    client.close()
    assert meter.states() == {"active": 0, "idle": 0}


def test_the_duration_of_a_request_is_recorded(meter: Meter) -> None:
    client, _ = watched(meter, slow)
    client.get(URL)
    (point,) = meter.points("http.client.request.duration")
    assert (point.count, point.sum) == (1, pytest.approx(2.0))
    assert dict(point.attributes) == {
        "url.scheme": "http",
        "server.address": "origin.test",
        "server.port": 80,
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "network.protocol.version": "1.1",
    }


@pytest.mark.parametrize(
    ("script", "word"),
    [
        (REFUSED, "ConnectError"),
        (last_words(b"", FIN), "NoResponse"),
        (says(answer(b"", status=b"503 Service Unavailable")), "503"),
    ],
)
def test_what_failed_says_why(meter: Meter, script: Peer | NoAnswer, word: str) -> None:
    client, _ = watched(meter, script)
    with contextlib.suppress(perdure.Error):
        client.request("PROPFIND", URL)
    (point,) = meter.points("http.client.request.duration")
    assert point.attributes["error.type"] == word
    assert point.attributes["http.request.method"] == "_OTHER"


def test_a_stream_that_is_closed_early_did_not_fail(meter: Meter) -> None:
    client, _ = watched(meter, says(answer(b"x" * 500_000)))
    with client.stream("GET", URL):
        pass
    (point,) = meter.points("http.client.request.duration")
    assert "error.type" not in point.attributes


def test_the_duration_of_a_connection_is_recorded_as_it_ends(meter: Meter) -> None:
    client, network = watched(meter, says(HELLO))
    client.get(URL)
    network.clock.advance(7.0)
    assert meter.points("http.client.connection.duration") == []
    client.close()
    (point,) = meter.points("http.client.connection.duration")
    assert (point.count, point.sum) == (1, pytest.approx(7.0))
    assert point.attributes["perdure.reason"] == "pool_closed"


def test_an_event_loops_client_is_measured_alike(meter: Meter) -> None:
    async def scene() -> None:
        async with (
            scripted_origin([says(HELLO, HELLO)]) as (network, _, base),
            perdure.AsyncClient(network=network) as client,
        ):
            watch(client, meter.provider)
            for _ in range(2):
                await client.get(base)
            assert meter.states() == {"active": 0, "idle": 1}

    asyncio.run(scene())
    (point,) = meter.points("http.client.request.duration")
    assert point.count == 2
    (point,) = meter.points("http.client.connection.duration")
    assert point.count == 1


@pytest.mark.slow
def test_a_client_is_watched_once_and_not_kept_alive(meter: Meter) -> None:
    client, _ = watched(meter)
    with pytest.raises(ValueError, match="watched already"):
        watch(client, meter.provider)
    del client
    gc.collect()
    assert meter.states() == {}


@pytest.mark.slow
def test_who_does_not_ask_for_it_does_not_pay_for_it() -> None:
    code = "import sys, perdure; perdure.Client(); print('opentelemetry' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
