"""What may be said on an inbound connection, and how it is written.

The half of `InboundConnection` that a subclass calls: whole responses, streamed ones, interim
ones, errors of our own, and the end of a response that cannot be completed.

RFC 9112 §4, §6, §8; RFC 9110 §15.2.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Final

from perdure.core import (
    Data,
    EndOfMessage,
    Event,
    FieldLine,
    FramingKind,
    Interim,
    LocalViolation,
    Reason,
    Response,
    ServerConnection,
    make_line,
)
from perdure.server.cork import Cork
from perdure.server.registry import Registry
from perdure.wire.loop import LoopWire

PLAIN_TEXT: Final = make_line(b"Content-Type", b"text/plain; charset=utf-8")


@enum.unique
class Phase(enum.Enum):
    """What a deadline that is reached means."""

    HEAD = "a head is awaited or under way"
    CONTENT = "request content is under way"
    ANSWER = "the request is complete, the response is not"
    LEFTOVER = "unread request content is read and dropped"
    IDLE = "between two exchanges"
    ENDED = "closing"


class Answering(LoopWire):
    """The sending side of an inbound connection.

    Attributes:
        registry: the connections of the server.
        protocol: the sans-I/O connection.
        phase: see `Phase`.
    """

    __slots__ = ("_cork", "phase", "protocol", "registry")

    def __init__(self, registry: Registry, protocol: ServerConnection | None) -> None:
        super().__init__(registry.settings.write_timeout)
        self.registry = registry
        self.protocol = protocol or ServerConnection(registry.limits, registry.terms)
        self.phase = Phase.HEAD
        self._cork = Cork(self)

    def respond(self, response: Response, content: bytes = b"") -> None:
        """Send a whole response.

        Raises:
            LocalViolation: it is not a response that can be sent now; nothing was sent.

        RFC 9112 §6.
        """
        if self.phase is Phase.ENDED:
            return
        self._cork.write(self.protocol.send_whole(response, content))
        self._response_complete()

    def begin_response(self, response: Response) -> None:
        """Send the head of a response whose content follows. Raises as `respond`."""
        if self.phase is not Phase.ENDED:
            self._cork.write(self.protocol.send(response))

    def send_content(self, octets: bytes) -> None:
        """Send some content of a response. Stop while `writing_paused`.

        Raises:
            LocalViolation: it is longer than the response's head said; the connection is cut off.
        """
        if self.phase is Phase.ENDED or not octets:
            return
        self._cork.write(self._send_or_cut(Data(octets)))

    def end_response(self, trailers: Sequence[FieldLine] = ()) -> None:
        """Complete a response.

        Raises:
            LocalViolation: it is shorter than its head said; the connection is cut off, so that
                the client sees that something is missing.
        """
        if self.phase is Phase.ENDED:
            return
        octets = self._send_or_cut(EndOfMessage(trailers))
        if octets:
            self._cork.write(octets)
        self._response_complete()

    def send_interim(self, interim: Interim) -> None:
        """Send an interim response; an HTTP/1.0 client gets none. RFC 9110 §15.2."""
        if self.phase is not Phase.ENDED and (octets := self.protocol.send(interim)):
            self._cork.write(octets)

    def refuse(self, status: int, message: str, fields: Sequence[FieldLine] = ()) -> None:
        """Answer with an error of our own; the connection lives on where framing allows."""
        content = message.encode() + b"\n"
        self.respond(Response(status, [PLAIN_TEXT, *fields, *self.own_fields()]), content)

    def abandon_response(self, reason: Reason) -> None:
        """End the connection in the middle of a response, so that the truncation shows. RFC 9112 §8."""
        if self.phase is Phase.ENDED:
            return
        self.protocol.end(reason)
        self._cork.flush()
        self._ended()
        # A close-delimited response ends with the connection: only a reset tells it from a whole one.
        if self.protocol.response_framing.kind is FramingKind.UNTIL_CLOSE:
            self.abort()
        else:
            self._linger()

    def own_fields(self) -> Sequence[FieldLine]:
        """Fields of every response of ours, such as Date; a subclass may add some."""
        return ()

    def cut_off(self, reason: Reason) -> None:
        """End the connection at once, whatever is under way."""
        raise NotImplementedError

    def _response_complete(self) -> None:
        """The response is written: go on, or end."""
        raise NotImplementedError

    def _send_or_cut(self, event: Event) -> bytes:
        try:
            return self.protocol.send(event)
        except LocalViolation:
            self.cut_off(Reason.LOCAL_FAULT)
            raise

    def _ended(self) -> None:
        """Note that nothing more is said on this connection."""
        raise NotImplementedError

    def _linger(self) -> None:
        settings = self.registry.settings
        self.linger(settings.linger_octets, settings.linger_idle, settings.linger_total)
