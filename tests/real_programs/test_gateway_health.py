"""Origins that we did not write leave and come back behind `perdure gateway`, and clients do not notice."""

from __future__ import annotations

import re
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic, sleep

import pytest

import perdure
from tests import peers
from tests.real_programs import ours

pytestmark = [pytest.mark.peer, pytest.mark.slow]

CHECKED = ("--health-path", "/small.txt", "--health-interval", "0.2", "--unhealthy-checks", "2")
PATIENCE_SECONDS = 60.0
CLIENTS = 4
CUT_OFF = (502, "perdure; error=connection_terminated")
"""A server that leaves resets connections that its kernel has accepted and it has not. They were never
used before, so what was sent on them is not sent again (RFC 9112 §9.3.1): one or two of thousands, if any."""


class Load:
    """Clients that ask for the same small page again and again, each over one connection.

    Attributes:
        answers: how often each status came, by the program that answered; failures are counted as 0.
    """

    def __init__(self, gateway: peers.Peer, tolerated: int = 0) -> None:
        self.answers: Counter[tuple[int, str]] = Counter()
        self._url = f"{gateway.url}/small.txt"
        self._log = gateway.log
        self._tolerated = tolerated
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]

    def _ask(self) -> None:
        with perdure.Client(retry=False) as client:
            while not self._over.is_set():
                try:
                    response = client.get(self._url)
                    who = response.headers.get("proxy-status") or response.headers.get("server", "")
                    answer = response.status, who.partition("/")[0]
                except perdure.Error as error:
                    answer = 0, str(error)
                with self._lock:
                    self.answers[answer] += 1

    def seen(self) -> Counter[str]:
        """How often each program answered so far."""
        with self._lock:
            return Counter({name: count for (_, name), count in self.answers.items()})

    def wait_until(self, holds: Callable[[Counter[str]], bool]) -> None:
        """Wait until what was seen since now says so."""
        before, until = self.seen(), monotonic() + PATIENCE_SECONDS
        while not holds(self.seen() - before):
            assert monotonic() < until, f"{self.answers} since {before}"
            sleep(0.05)

    @contextmanager
    def going_on(self) -> Iterator[Load]:
        """Ask while the block runs; every request is to be answered with 200, but for what is tolerated."""
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._over.set()
            for thread in self._threads:
                thread.join(PATIENCE_SECONDS)
        bad = Counter({answer: count for answer, count in self.answers.items() if answer[0] != 200})
        assert set(bad) <= {CUT_OFF}, f"{self.answers}\n{self._log()[-3000:]}"
        assert bad.total() <= self._tolerated, f"{self.answers}\n{self._log()[-3000:]}"


def both(seen: Counter[str]) -> bool:
    return seen["nginx"] > 50 and seen["Apache"] > 50


def leave_in_good_order(origin: peers.Peer, number: signal.Signals) -> None:
    origin.process.send_signal(number)
    origin.process.wait(PATIENCE_SECONDS)


def start_again(origin: peers.Peer) -> peers.Peer:
    """The same program with the same configuration on the same port."""
    command = origin.process.args
    assert isinstance(command, list)
    again = peers.Peer(origin.name, origin.port, origin.folder, command)
    again.wait_until_ready()
    return again


@pytest.mark.row("S16")
@pytest.mark.parametrize("flags", [(), CHECKED], ids=["as requests show it", "as checks show it"])
def test_nginx_and_apache_leave_and_come_back_and_every_get_is_answered(flags: tuple[str, ...]) -> None:
    with (
        peers.nginx(server="keepalive_requests 100000;") as nginx,
        peers.apache(max_requests=0) as apache,
        ours.gateway(nginx.url, apache.url, flags=(*flags, "--fail-rest", "0.2")) as gateway,
        Load(gateway, tolerated=2).going_on() as load,
    ):
        load.wait_until(both)
        for origin, number, other in ((nginx, signal.SIGQUIT, "Apache"), (apache, signal.SIGWINCH, "nginx")):
            leave_in_good_order(origin, number)
            load.wait_until(lambda seen, name=other: seen[name] > 200)  # type: ignore[misc]  # bound early
            again = start_again(origin)
            try:
                load.wait_until(both)
            except BaseException:
                again.stop()
                raise
            origin.process = again.process  # which the end of the test stops


@pytest.mark.row("S16")
def test_forty_reloads_under_load_lose_no_request_and_close_no_connection_of_a_client() -> None:
    with (
        peers.nginx(server="keepalive_requests 100000;") as nginx,
        peers.apache(max_requests=0) as apache,
    ):
        config = nginx.folder / "perdure.toml"
        both_of_them = f'to = ["{nginx.url}", "{apache.url}"]\n'
        texts = [
            both_of_them,
            f'to = ["{apache.url}"]\norigin_read_timeout = 20\n',
            f'to = ["{nginx.url} weight=3", "{apache.url}"]\nbalance = "hash"\nhash_on = "path"\n',
            "no TOML\n",
            f'[[gateway.routes]]\npath = "/small.txt"\n{both_of_them}fail_count = 9\n',
        ]
        config.write_text(f"[gateway]\nmax_requests = 1000000\n{texts[0]}")
        flags = ("-v", "--config", str(config))
        with ours.gateway(flags=flags) as gateway:
            with Load(gateway).going_on() as load:
                load.wait_until(both)
                for number in range(40):
                    config.write_text(f"[gateway]\nmax_requests = 1000000\n{texts[number % len(texts)]}")
                    gateway.process.send_signal(signal.SIGHUP)
                    load.wait_until(lambda seen: seen.total() > 40)
            gateway.stop()
            log = gateway.log()
    assert re.search(r"\b5 connections, \d+ requests", log), log[
        -2000:
    ]  # one came to see whether it is there
    assert log.count("TOML expected") == 8
