"""What responses of one connection have in common that differ in values, and in their length.

    HTTP/1.1 200 OK␍␊Date: Sun, 06 …␍␊ETag: "5f3e"␍␊Content-Length: 100␍␊Cache-Control: …␍␊␍␊
    ╰─── the same ──────╯╰─ value ─╯        ╰ value ╯                 ╰╯╰──── the same ──╯

An origin says the same fields of each thing that it is asked for, with other values. So the lines of a
head are compared with those of the head before; of one that differs only the value is looked at, and put
into the octets that go on. Which values may differ: those of fields that neither framing nor persistence
looks at and that go on as they came; the length, of which nothing depends but where the content ends;
and the hints of this hop, which go no further.

RFC 9112 §4, §5, §6.3; RFC 9110 §7.6.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from perdure.core import writer
from perdure.core.events import Response
from perdure.core.fields import (
    CONTENT_LENGTH,
    HTTP_11,
    KEEP_ALIVE,
    ORDINARY,
    Facts,
    FieldLine,
    gather,
    parse_lines,
)
from perdure.core.framing import Framing, FramingKind, Outgoing, framed_by_length
from perdure.core.reason import Reason

MOST_HEAD_OCTETS: Final = 2048
"""A longer head is read anew."""
MOST_DIGITS: Final = 9
"""Of a length; content that is all there is shorter."""
MOST_SAID: Final = 64
"""Kinds of requests for which it is remembered how such responses are sent."""
_END: Final = b"\r\n\r\n"
_LENGTH, _NONE = FramingKind.LENGTH, FramingKind.NONE  # a member of an Enum costs 0.2 µs to look up
How = tuple[object, Reason, Outgoing, bytes]
"""As of `Response.prepared`: for whose terms, the decision, the framing and octets."""


class LikeResponse(Response):
    """A response of which others are known that differ in values alone.

    Its fields are made once somebody asks for them, which a gateway seldom does.
    """

    __slots__ = ("_facts", "_fields", "_likeness")

    def __init__(self, said: Response, block: bytes, likeness: LikeResponses) -> None:
        self.status = said.status
        self.reason_phrase = said.reason_phrase
        self.version = said.version
        self.framing = said.framing
        self.end = said.end
        self.block = block
        self.prepared = {}
        self._likeness = likeness
        self._fields: Sequence[FieldLine] | None = None
        self._facts: Facts | None = None

    def prepare(self, facts: Facts, method: bytes, length: int) -> None:
        """Let `prepared` say how it is sent to such a request, if one like it was sent to such a one.

        RFC 9112 §6, §9.3.
        """
        known = self._likeness.how(facts, method, length, self.block)
        if known is not None:
            self.prepared = {(facts, method, length): known}

    @property
    def fields(self) -> Sequence[FieldLine]:
        """As of any response."""
        if self._fields is None:
            block = self.block or b""
            self._fields = parse_lines(block[:-2].split(b"\r\n"), len(block))
        return self._fields

    @fields.setter
    def fields(self, fields: Sequence[FieldLine]) -> None:
        self._fields = fields

    @property
    def facts(self) -> Facts:
        """As of any response."""
        if self._facts is None:
            self._facts = gather(HTTP_11, False, self.fields)
        return self._facts

    @facts.setter
    def facts(self, facts: Facts) -> None:
        self._facts = facts


class LikeResponses:
    """The heads that are like one which was received, and sent on.

    Attributes:
        received: that one, as it came.
        framing: of the latest that was taken.
        keep_alive: the values of its Keep-Alive lines.
    """

    __slots__ = (
        "_hints_place", "_latest", "_length_place", "_lines", "_prefixes", "_said", "_sent", "_start",
        "_ways", "framing", "keep_alive", "received",
    )  # fmt: skip

    def __init__(self, received: Response, said: Response) -> None:
        self.received = received
        self.framing: Framing = received.framing
        self.keep_alive = received.facts.keep_alive
        self._said = said
        self._start = writer.status_line(said.status, said.reason_phrase)
        self._sent = [line.octets for line in said.fields]
        places = {id(line): place for place, line in enumerate(said.fields)}
        self._lines = [_start_line(received)]
        self._prefixes: list[tuple[bytes, int | None] | None] = [None]
        self._length_place = self._hints_place = 0
        for line in received.fields:
            self._add(line, places.get(id(line)))
        self._latest: Response = said  # how it was sent is found out when the next one comes
        self._ways: dict[tuple[Facts, bytes], How] = {}

    def _add(self, line: FieldLine, place: int | None) -> None:
        """Note a line, what comes before its value if that may differ, and where it is sent."""
        varies = line.kind == ORDINARY and place is not None
        if line.kind == CONTENT_LENGTH and self.framing.kind is _LENGTH and place is not None:
            varies, self._length_place = True, len(self._lines)
        elif line.kind == KEEP_ALIVE and len(self.keep_alive) == 1 and place is None:
            varies, self._hints_place = True, len(self._lines)
        self._prefixes.append((line.name + b": ", place) if varies else None)
        self._lines.append(line.octets[:-2])

    @classmethod
    def of(cls, received: Response, said: Response, octets: bytes) -> LikeResponses | None:
        """What another head may have in common with one that was received, and sent on.

        Args:
            received: whole, of HTTP/1.1; `said` is what was made of it, sent while its `prepared` was a dict.
            octets: the other head, perhaps with content.

        Returns:
            None where it begins otherwise, or has not as many lines.

        RFC 9112 §4, §5.
        """
        ends = octets.find(_END, 0, MOST_HEAD_OCTETS)
        start = _start_line(received) + b"\r\n"
        if ends < 0 or not octets.startswith(start):
            return None
        if octets.count(b"\r\n", 0, ends) != len(received.fields) or not _parted(received, said):
            return None
        return cls(received, said)

    def take(self, octets: bytes) -> tuple[LikeResponse, bytes] | None:
        """Read a whole response that is like the others.

        Returns:
            It, as it goes on, and its content. None where it is another one, or there is more or less:
            nothing was taken.

        RFC 9112 §5, §6.3.
        """
        ends = octets.find(_END, 0, MOST_HEAD_OCTETS)
        before, lines = self._lines, octets[:ends].split(b"\r\n")
        if ends < 0 or len(lines) != len(before):
            return None
        changes: list[tuple[int, bytes]] = []
        length, keep_alive = self.framing.length, self.keep_alive
        for place, line in enumerate(lines):
            if line == before[place]:
                continue
            prefix = self._prefixes[place]
            if prefix is None or not line.startswith(prefix[0]):
                return None
            value = line[len(prefix[0]) :]
            if place == self._length_place:
                if not value.isdigit() or value[:1] == b"0" or len(value) > MOST_DIGITS:
                    return None
                length = int(value)
            elif not _is_plain(value):
                return None
            if place == self._hints_place:
                keep_alive = (value,)
            elif prefix[1] is not None:
                changes.append((prefix[1], line + b"\r\n"))
        content = octets[ends + 4 :]
        if len(content) != length:
            return None
        if self._latest.prepared:
            self._learn(self._latest, self._latest.prepared)
        sent = self._sent
        for place, line in changes:
            sent[place] = line
        self._lines, self.keep_alive = lines, keep_alive
        if length != self.framing.length:
            self.framing = framed_by_length(length)
        response = self._latest = LikeResponse(self._said, b"".join(sent), self)
        return response, content

    def _learn(self, sent: Response, prepared: dict[tuple[Facts, bytes, int | None], How]) -> None:
        """Note how a response was sent, for others to be sent in the same way."""
        start = self._start + (sent.block or b"")  # its status line never differs
        for (facts, method, length), (terms, reason, outgoing, octets) in prepared.items():
            known = self._ways.get((facts, method))
            if length is None or (known is not None and known[0] is terms):
                continue
            if outgoing.line or outgoing.drop_length or outgoing.framing.kind is not self.framing.kind:
                continue
            if octets.startswith(start) and len(self._ways) < MOST_SAID:
                self._ways[facts, method] = terms, reason, outgoing, octets[len(start) :]

    def how(self, facts: Facts, method: bytes, length: int, block: bytes | None) -> How | None:
        """How one of them is sent to a request with these facts; None where that is not known.

        RFC 9112 §6, §9.3.
        """
        way = self._ways.get((facts, method))
        if way is None or block is None:
            return None
        terms, reason, outgoing, rest = way
        if outgoing.framing.length != length:
            outgoing = Outgoing(framed_by_length(length))
        return terms, reason, outgoing, self._start + block + rest


def _start_line(received: Response) -> bytes:
    return b"HTTP/1.1 %d %b" % (received.status, received.reason_phrase or b"")


def _parted(received: Response, said: Response) -> bool:
    """Whether each line is an object of its own: by identity it is told where it went."""
    return all(len(set(map(id, one.fields))) == len(one.fields) for one in (received, said))


def _is_plain(value: bytes) -> bool:
    """Whether octets are a field value without white space around it; what is not ASCII is left to others."""
    return value.isascii() and str(value, "ascii").isprintable() and value == value.strip(b" ") != b""
