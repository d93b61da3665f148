"""One request and its response: the only logic of the client, as a flow of effects.

The flow is a flat generator. It yields what it wants done, and whoever runs it, on an event loop
(`loop_runner`) or with blocking sockets (`blocking_runner`), does it and sends back the outcome, or
throws what went wrong. It never waits, dials or reads a clock; so there is one behaviour, and one suite
shows it.

    effect                 done by the runner                           sent back
    (LEASE, fresh)         reserve a connection                         Entry
    (PULL, None)           ask the request content for more             octets, None at its end
    (SEND, octets)         send, or receive if something comes first    (rest or None, arrived or None)
    (SEND_LAST, octets)    the same, and nothing more follows           the same
    (RECEIVE, seconds)     receive                                      octets, b"" at the peer's end
    (HEAD, None)           the response's head is here                  anything
    (CONTENT, Data)        content for the caller                       anything

    lease ─▶ send ─▶ receive ─▶ complete ─▶ release
      ▲        └───────┴─▶ failed ─▶ stale and safe (`core.retry`): once more, on a fresh connection

A final response may come before the request is sent: if it says close, sending stops; otherwise
it goes on (RFC 9112 §9.5, RFC 9110 §7.5). Whatever is thrown in, cancellation too, ends the
lease: no slot, and no half-read connection, outlives the flow.
"""

from __future__ import annotations

from typing import Any

from perdure.client.content import PIECE_OCTETS
from perdure.client.effects import CONTENT, HEAD_IS_HERE, LEASE, PULL_MORE, RECEIVE, SEND, SEND_LAST, Flow
from perdure.client.exchange_steps import ExchangeSteps
from perdure.core.framing import FramingKind
from perdure.core.pool import Entry
from perdure.core.states import State
from perdure.wire.errors import PeerReset, ReadTimeout

_DONE = State.DONE  # 0.2 µs less each time (core/client_connection.py)


class Exchange(ExchangeSteps):
    """One request and its response; `flow` is what happens.

    Attributes: as of `ExchangeSteps`.
    """

    __slots__ = ()

    def begin(self) -> Flow:
        """What a runner runs: `flow`, within what watches the exchanges of this client, if anything."""
        watch = self._shared.watch
        return self.flow() if watch is None else watch(self, self.flow())

    def flow(self, begun: bool = False) -> Flow:
        """Ask and be answered; see the module.

        Args:
            begun: True where the runner called `begin_whole` and sent what it returned; the flow goes on
                with what is left, and its first effect is RECEIVE.

        Raises:
            ExchangeError: and whatever the request content or the runner throws.
        """
        fresh = False
        if not begun and self._must_gather():
            self.asked.content.start()
            while self._gather((yield PULL_MORE)):
                pass
        while True:
            entry = self._entry if begun else (yield (LEASE, fresh))
            try:
                if not begun:
                    self._begin(entry)
                begun = False
                while True:
                    arrived: bytes | None = None
                    if self._unsent is not None:
                        kind = SEND if self._uploading else SEND_LAST
                        try:
                            self._unsent, arrived = yield (kind, self._unsent)
                        except PeerReset as error:  # what the peer said before may still be there
                            self._write_error = error
                            self._stop_sending()
                    elif self._uploading and not self._awaits_continue:
                        self._send_piece((yield PULL_MORE))
                    else:
                        try:
                            arrived = yield self._receive
                        except ReadTimeout:
                            if not self._awaits_continue:
                                raise
                            self._await_continue_no_more()
                    for event in self._events(arrived):
                        if self._take(event):
                            yield HEAD_IS_HERE if event is self.response else (CONTENT, event)
                    if self._connection.peer_state is _DONE and not self._sending:
                        self._complete()
                        return
            except GeneratorExit:
                self._let_go()
                raise
            except BaseException as error:
                self._failed(error)  # raises, unless it may be sent again
                fresh = True

    # The commonest exchange, without a generator: 6 µs less (bench/bench_client.py).

    @property
    def is_plain(self) -> bool:
        """True where one write sends everything, and nobody watches: `begin_whole` may be used."""
        whole = self.asked.content.whole
        if self._shared.watch is not None:
            return False
        return whole is not None and len(whole) <= PIECE_OCTETS and not self.asked.expects_continue

    def begin_whole(self, entry: Entry[Any]) -> bytes:
        """Begin a plain exchange on a leased connection: the octets to send, all of them.

        From here on only `take_whole` or `flow(begun=True)` end the lease; what goes wrong, here too,
        is thrown into the flow.
        """
        self._begin(entry)
        octets, self._unsent = self._unsent, None
        assert octets is not None
        return octets

    @property
    def patience(self) -> float:
        """Seconds that the answer to `begin_whole` may take to begin."""
        seconds: float = self._receive[1]
        return seconds

    def take_whole(self, arrived: bytes) -> bool:
        """Take what arrived; True if the exchange is over and its lease ended, False: go on with the flow."""
        again = None if self._hurried else self._connection.receive_again(arrived)
        if again is not None:
            self._take_again(*again)
            return True
        for event in self._events(arrived):
            self._take(event)
        if self._connection.peer_state is not _DONE:
            return False
        self._complete()
        return True

    def abandon(self) -> bool:
        """Say that the rest of the content is not wanted.

        Returns:
            True: run the flow on to its end within `drain_seconds`; it reads the rest and keeps
            the connection. False: close the flow, the rest is not worth it.

        RFC 9112 §9.3 (a client must read the whole response or close).
        """
        settings, connection = self._shared.settings, self._connection
        framing = connection.response_framing
        self.abandoned = True
        self._drain_left = settings.drain_octets
        self._receive = (RECEIVE, settings.drain_seconds)
        if self._sending or not connection.persists or settings.drain_seconds <= 0:
            return False
        self._drain_until = self._shared.pool.now() + settings.drain_seconds
        left = framing.length - self.content_octets
        return framing.kind is not FramingKind.LENGTH or left <= self._drain_left
