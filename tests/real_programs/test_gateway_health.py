"""Origins that we did not write leave and come back behind `perdure gateway`, and clients do not notice."""

from __future__ import annotations

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


class Load:
    """Clients that ask for the same small page again and again, each over one connection.

    Attributes:
        answers: how often each status came, by the program that answered; failures are counted as 0.
    """

    def __init__(self, url: str) -> None:
        self.answers: Counter[tuple[int, str]] = Counter()
        self._url = f"{url}/small.txt"
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]

    def _ask(self) -> None:
        with perdure.Client(retry=False) as client:
            while not self._over.is_set():
                try:
                    response = client.get(self._url)
                    answer = response.status, response.headers.get("server", "").partition("/")[0]
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
        """Ask while the block runs; every request is to be answered with 200."""
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._over.set()
            for thread in self._threads:
                thread.join(PATIENCE_SECONDS)
        assert {status for status, _ in self.answers} == {200}, self.answers


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
        Load(gateway.url).going_on() as load,
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
