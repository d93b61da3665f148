"""What a connection hands out and takes in: six kinds of event.

Client and server use the same ones. `end` is True on the event that completes a message, so
the commonest message, a head without content, is one event. Every event has `end`.

    Request | Response   head          .end  no content follows
    Data                 some content  .end  this was the last of it
    EndOfMessage         .end is always True; it carries the trailers
    Interim              a 1xx response: head only, never ends anything
    EndOfStream          the peer will send nothing more

Plain slotted classes: frozen dataclasses cost 3.7 times as much to make.
RFC 9112 §2.1, §6.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from perdure.core.fields import HTTP_11, Facts, FieldLine, Version, gather
from perdure.core.framing import NO_CONTENT, Framing, Outgoing
from perdure.core.likeness import FieldsButOne, Likeness
from perdure.core.reason import Reason

NO_LINES: Final[tuple[FieldLine, ...]] = ()
Prepared: TypeAlias = "dict[tuple[Facts, bytes, int | None], tuple[object, Reason, Outgoing, bytes]]"
"""See `Response`."""
Said: TypeAlias = tuple[bytes, Outgoing, Facts, bool]
"""The octets of a request head, how its content is framed, its facts as it went out, and whether it
announces the close."""


class Request:
    """The head of a request.

    Attributes:
        method, target: octets as received; the target is never normalised (R142).
        fields: field lines in order; make them with `fields.make_lines`.
        facts, framing: set on a received request; on one to be sent by `Connection.send`.
        end: True if no content follows.
        prepared: where somebody sends the same request again and again and makes it {}, keeps what was
            sent before: by the length of the content and whether the connection shall persist.
        likeness: what a received one has in common with those before it on its connection, if that is known.
    """

    __slots__ = ("end", "facts", "fields", "framing", "likeness", "method", "prepared", "target", "version")

    def __init__(
        self,
        method: bytes,
        target: bytes,
        fields: Sequence[FieldLine] = NO_LINES,
        version: Version = HTTP_11,
        facts: Facts | None = None,
        framing: Framing = NO_CONTENT,
        end: bool = True,
    ) -> None:
        self.method = method
        self.target = target
        self.fields = fields
        self.version = version
        self.facts = facts if facts is not None else gather(version, True, fields)
        self.framing = framing
        self.end = end
        self.prepared: dict[tuple[int, bool], Said] | None = None
        self.likeness: Likeness | None = None

    def __repr__(self) -> str:
        return (
            f"Request({self.method!r}, {self.target!r}, {len(self.fields)} fields, {self.framing.kind.name})"
        )


class LikeRequest(Request):
    """A request without content that is known by what differs from others: its target, and one value.

    Its fields are made once somebody asks for them, which a gateway seldom does (0.9 µs less each way).

    Attributes:
        value: of the field that differs.
    """

    __slots__ = ("_alike", "_fields", "value")

    def __init__(self, method: bytes, target: bytes, facts: Facts, alike: FieldsButOne, value: bytes) -> None:
        self.method = method
        self.target = target
        self.version = HTTP_11
        self.facts = facts
        self.framing = NO_CONTENT
        self.end = True
        self.prepared = None
        self.likeness = None
        self.value = value
        self._alike = alike
        self._fields: Sequence[FieldLine] | None = None

    @property
    def fields(self) -> Sequence[FieldLine]:
        """As of any request."""
        fields = self._fields
        if fields is None:
            fields = self._fields = self._alike.with_value(self.value)
        return fields

    @fields.setter
    def fields(self, fields: Sequence[FieldLine]) -> None:
        self._fields = fields


class Response:
    """The head of a final response, or of a 101 (which is final as far as HTTP goes).

    Attributes: as of `Request`; `reason_phrase` is None for the usual phrase of the status.

    Where somebody sends the same response again and again, `block` is what `writer.block` made of
    the fields, and `prepared`, if it is made {}, keeps what was sent before: by the facts and method
    of the request and the length of the content, for whose terms, the decision, the framing and the octets.
    """

    __slots__ = (
        "block",
        "end",
        "facts",
        "fields",
        "framing",
        "prepared",
        "reason_phrase",
        "status",
        "version",
    )

    def __init__(
        self,
        status: int,
        fields: Sequence[FieldLine] = NO_LINES,
        reason_phrase: bytes | None = None,
        version: Version = HTTP_11,
        facts: Facts | None = None,
        framing: Framing = NO_CONTENT,
        end: bool = True,
    ) -> None:
        self.status = status
        self.fields = fields
        self.reason_phrase = reason_phrase
        self.version = version
        self.facts = facts if facts is not None else gather(version, False, fields)
        self.framing = framing
        self.end = end
        self.block: bytes | None = None
        self.prepared: Prepared | None = None

    def __repr__(self) -> str:
        return f"Response({self.status}, {len(self.fields)} fields, {self.framing.kind.name})"


class Interim:
    """A 1xx response other than 101; any number may precede the final one (R165)."""

    __slots__ = ("fields", "reason_phrase", "status")
    end: Final = False

    def __init__(
        self, status: int, fields: Sequence[FieldLine] = NO_LINES, reason_phrase: bytes | None = None
    ) -> None:
        self.status = status
        self.fields = fields
        self.reason_phrase = reason_phrase

    def __repr__(self) -> str:
        return f"Interim({self.status}, {len(self.fields)} fields)"


class Data:
    """Some content: at least one octet, unless `end`."""

    __slots__ = ("end", "octets")

    def __init__(self, octets: bytes, end: bool = False) -> None:
        self.octets = octets
        self.end = end

    def __repr__(self) -> str:
        return f"Data({len(self.octets)} octets{', end' if self.end else ''})"


class EndOfMessage:
    """The end of a message that its last Data could not tell, with its trailers (R78)."""

    __slots__ = ("trailers",)
    end: Final = True

    def __init__(self, trailers: Sequence[FieldLine] = NO_LINES) -> None:
        self.trailers = trailers

    def __repr__(self) -> str:
        return f"EndOfMessage({len(self.trailers)} trailers)"


class EndOfStream:
    """The peer has closed its sending side between messages."""

    __slots__ = ()
    end: Final = False

    def __repr__(self) -> str:
        return "EndOfStream()"


Event: TypeAlias = Request | Response | Interim | Data | EndOfMessage | EndOfStream
