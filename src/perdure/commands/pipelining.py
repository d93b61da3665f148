"""Requests sent without waiting for the responses to those before, for `perdure get --pipeline`.

Only methods whose repetition does no harm are pipelined, because a connection that ends leaves the
requests behind it in doubt. After the announced end of a connection the rest is sent again; after any other
end what `retry` allows is. The first request after such an end goes alone: it may be the one that the server
stumbled over.

RFC 9112 §9.3.2 (pipelining), §9.6 (nothing is processed after a close option).
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from perdure.client.settings import ClientSettings
from perdure.client.urls import Location
from perdure.commands.report import Row, plural
from perdure.commands.story import tell_head
from perdure.core import (
    ClientConnection,
    Data,
    EndOfMessage,
    Error,
    Event,
    Reason,
    Request,
    Response,
    State,
)
from perdure.core.retry import Failure, may_retry
from perdure.wire.blocking import StreamNetwork, StreamWire
from perdure.wire.errors import PeerReset
from perdure.wire.tls import TlsContext

logger = logging.getLogger("perdure.commands")


class Plan(NamedTuple):
    """What is asked for, and how."""

    location: Location
    request: Request
    settings: ClientSettings
    depth: int
    """Requests on their way at once, at most."""
    longest: float | None = None
    """Seconds that one request may take altogether; None: any."""


class Sent(NamedTuple):
    """A request that awaits its response."""

    number: int
    began: float
    written: int
    """Octets the system had taken before it."""


def dialler(plan: Plan, network: StreamNetwork, context: TlsContext) -> Callable[[], StreamWire]:
    """What dials the origin of a plan; `context` is for https."""
    origin = plan.location.origin
    tls = context if origin.scheme == "https" else None

    def dial() -> StreamWire:
        settings = plan.settings
        return network.dial(
            origin.host,
            origin.port,
            timeout=settings.connect_timeout,
            tls=tls,
            server_hostname=origin.host if tls is not None else None,
            happy_eyeballs=settings.happy_eyeballs,
        )

    return dial


class Pipeline:
    """A sequence of connections over which numbered requests go, one connection after the other.

    Attributes:
        opened: connections so far.
        closes: why they ended.
    """

    def __init__(
        self,
        plan: Plan,
        network: StreamNetwork,
        dial: Callable[[], StreamWire],
        next_connection: Callable[[], int],
    ) -> None:
        self.opened = 0
        self.closes: Counter[Reason] = Counter()
        self._plan = plan
        self._network = network
        self._dial = dial
        self._next_connection = next_connection
        self._retried: set[int] = set()
        self._alone = False

    def run(self, numbers: Sequence[int]) -> Iterator[Row]:
        """Send the requests; yield each one's row as it is answered or has failed.

        Raises:
            ConnectFailed: no (further) connection came about.
        """
        waiting = deque(numbers)
        while waiting:
            wire = self._dial()
            self.opened += 1
            lane = Lane(self._plan, self._network, wire, self._next_connection())
            where = f"connection {lane.number} to {self._plan.location.origin}"
            logger.info("%s: opened", where)
            try:
                yield from lane.exchange(waiting, self._alone)
            finally:
                wire.close()
                self.closes[lane.reason] += 1
                noun = f"request{plural(lane.begun)}"
                logger.info("%s: closed after %d %s: %s", where, lane.begun, noun, lane.reason)
            yield from self._put_back(lane, waiting)

    def _put_back(self, lane: Lane, waiting: deque[int]) -> Iterator[Row]:
        """Line up again what was left without an answer, where that is safe."""
        left = list(lane.sent)
        self._alone = bool(left) and not lane.announced
        if self._alone:
            first = left[0]
            written = lane.wire.octets_accepted - first.written
            failure = Failure(
                self._plan.request.method,
                lane.answered > 0,
                written,
                lane.response_begun,
                retried=first.number in self._retried,
            )
            verdict = may_retry(failure)
            self._retried.add(first.number)
            if not verdict.allowed:
                yield lane.failed(left.pop(0), f"{lane.fault or lane.reason}; not sent again: {verdict}")
        waiting.extendleft(sent.number for sent in reversed(left))


class Lane:
    """One connection of a pipeline.

    Attributes:
        number: the connection's.
        sent: requests without a response.
        begun: requests sent on it.
        answered: responses received whole.
        announced: the end was announced by a close option or by the version, or was ours.
        reason: why it ended.
        response_begun: octets of the response to the first of `sent` had come.
        fault: what went wrong, in words; "" for nothing.
    """

    def __init__(self, plan: Plan, network: StreamNetwork, wire: StreamWire, number: int) -> None:
        self.number = number
        self.wire = wire
        self.sent: deque[Sent] = deque()
        self.begun = self.answered = 0
        self.announced = False
        self.response_begun = False
        self.fault = ""
        self.reason = Reason.POOL_CLOSED
        self._plan = plan
        self._network = network
        self._connection = ClientConnection(plan.settings.limits(), plan.settings.terms())
        self._head: Response | None = None
        self._octets = 0

    def exchange(self, waiting: deque[int], alone: bool) -> Iterator[Row]:
        """Send and receive until nothing waits or the connection ends."""
        try:
            while (waiting or self.sent) and self._goes_on():
                depth = 1 if alone and not self.answered else self._plan.depth
                yield from self._deliver(self._converse(self._write(waiting, depth)))
        except Error as error:
            self.fault = str(error)
            self.reason = getattr(error, "reason", Reason.LOCAL_FAULT)
            self.response_begun = self._connection.response_begun
            return
        if not self._connection.persists and self._connection.reason is not None:
            self.reason = self._connection.reason
        self.announced = True

    def _goes_on(self) -> bool:
        return self._connection.persists or self._connection.peer_state is State.SENDING

    def _write(self, waiting: deque[int], depth: int) -> bytes:
        """Turn as many requests as may be on their way into octets."""
        octets = b""
        plan = self._plan
        while waiting and len(self.sent) < depth and self._connection.persists:
            number = waiting.popleft()
            self.sent.append(Sent(number, self._network.now(), self.wire.octets_accepted + len(octets)))
            head = self._connection.send_whole(plan.request)
            octets += head
            tell_head(self.number, head)
            self.begun += 1
            if not plan.settings.persist:
                break  # it has announced the close: nothing may follow
        return octets

    def _converse(self, octets: bytes) -> bytes:
        """Send it all, unless something arrives meanwhile; return what arrives."""
        deadline = self._network.now() + self._plan.settings.read_timeout
        if self._plan.longest is not None and self.sent:
            deadline = min(deadline, self.sent[0].began + self._plan.longest)
        received = b""
        while octets:
            try:
                taken, arrived = self.wire.send_or_receive(octets, deadline)
            except PeerReset:
                if received:  # responses that came before the reset count
                    return received
                raise
            octets = octets[taken:]
            received += arrived or b""
            if arrived == b"":
                return received
        return received or self.wire.receive(deadline)

    def _deliver(self, octets: bytes) -> Iterator[Row]:
        """Read responses; yield the row of each one that is complete."""
        clean = not getattr(self.wire, "truncated", False)
        events = self._connection.receive(octets) if octets else self._connection.receive_eof(clean)
        while True:
            row = self._take(events)
            if row is None:
                return
            events = self._connection.next_cycle() if self._connection.persists else []
            yield row

    def _take(self, events: Sequence[Event]) -> Row | None:
        for event in events:
            if isinstance(event, Response):
                self._head, self._octets = event, 0
            elif isinstance(event, Data):
                self._octets += len(event.octets)
            if isinstance(event, Response | Data | EndOfMessage) and event.end:
                return self._answer()
        return None

    def _answer(self) -> Row:
        sent = self.sent.popleft()
        reused = self.answered > 0
        self.answered += 1
        reason = self._connection.reason
        ends = None if reason is None or reason.persists else reason
        status = None if self._head is None else self._head.status
        seconds = self._network.now() - sent.began
        return Row(
            sent.number,
            self._plan.location.url,
            status,
            self._octets,
            seconds,
            self.number,
            reused,
            0.0,
            ends,
        )

    def failed(self, sent: Sent, error: str) -> Row:
        """The row of a request that is given up."""
        seconds = self._network.now() - sent.began
        return Row(
            sent.number,
            self._plan.location.url,
            None,
            0,
            seconds,
            self.number,
            self.answered > 0,
            0.0,
            self.reason,
            error,
        )
