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
from perdure.core.events import Prepared, Response
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
_LENGTH, _PERSISTS_11 = FramingKind.LENGTH, Reason.PERSISTS_11  # a member of an Enum costs 0.2 µs to look up


class Ways:
    """How responses that are alike are sent, by who is to get them: what `Response.prepared` is for one."""

    __slots__ = ("_known", "_start")

    def __init__(self, said: Response) -> None:
        self._start = writer.status_line(said.status, said.reason_phrase)
        self._known: dict[tuple[int, Facts, bytes], tuple[object, Outgoing, bytes]] = {}

    def learn(self, sent: Response, prepared: Prepared) -> None:
        """Note how one of them was sent, for others to be sent in the same way. RFC 9112 §6, §9.3."""
        start = self._start + (sent.block or b"")
        for (facts, method, length), (terms, reason, outgoing, octets) in prepared.items():
            key = id(terms), facts, method  # which are kept alive below
            if key in self._known or length is None or reason is not _PERSISTS_11:
                continue
            if outgoing.line or outgoing.drop_length or not octets.startswith(start):
                continue
            if len(self._known) >= MOST_SAID:
                self._known.clear()
            self._known[key] = terms, outgoing, octets[len(start) :]

    def apply(self, response: LikeResponse, terms: object, facts: Facts, method: bytes, length: int) -> None:
        """Let a response's `prepared` say how it is sent, if one like it was sent so. RFC 9112 §6, §9.3."""
        known = self._known.get((id(terms), facts, method))
        if known is None or response.block is None:
            return
        _, outgoing, rest = known
        if outgoing.framing.length != length:
            outgoing = Outgoing(framed_by_length(length))
        octets = self._start + response.block + rest
        response.prepared = {(facts, method, length): (terms, _PERSISTS_11, outgoing, octets)}


class LikeResponse(Response):
    """A response of which others are known that differ in values alone.

    Its fields are made once somebody asks for them, which a gateway seldom does.

    Attributes:
        ways: how others were sent.
    """

    __slots__ = ("_facts", "_fields", "ways")

    def __init__(self, said: Response, block: bytes, ways: Ways) -> None:
        self.status = said.status
        self.reason_phrase = said.reason_phrase
        self.version = said.version
        self.framing = said.framing
        self.end = said.end
        self.block = block
        self.prepared = {}
        self.ways = ways
        self._fields: Sequence[FieldLine] | None = None
        self._facts: Facts | None = None

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
        framing: of the latest one; `keep_alive`: the values of its Keep-Alive lines.
    """

    __slots__ = (
        "_latest", "_length_place", "_lines", "_prefixes", "_said", "_sent", "_targets",
        "_ways", "framing", "keep_alive", "received",
    )  # fmt: skip

    def __init__(self, received: Response, said: Response) -> None:
        self.received = received
        self.framing: Framing = received.framing
        self.keep_alive = received.facts.keep_alive
        self._said = said
        self._sent = [line.octets for line in said.fields]
        targets = {id(line): place for place, line in enumerate(said.fields)}
        self._lines = [_start_line(received)]
        self._prefixes: list[bytes | None] = [None]  # None where the whole line stays
        self._targets: list[int | None] = [None]  # among the lines that are sent
        self._length_place = 0
        for line in received.fields:
            self._add(line, targets.get(id(line)))
        self._latest: Response = said  # how it was sent is found out when the next one comes
        self._ways = Ways(said)

    def _add(self, line: FieldLine, target: int | None) -> None:
        """Note a line, what comes before its value if that may differ, and where it is sent."""
        varies = line.kind == ORDINARY and target is not None
        if line.kind == CONTENT_LENGTH and self.framing.kind is _LENGTH and target is not None:
            varies, self._length_place = True, len(self._lines)
        elif line.kind == KEEP_ALIVE and len(self.keep_alive) == 1 and target is None:
            varies = True
        self._prefixes.append(line.name + b": " if varies else None)
        self._targets.append(target)
        self._lines.append(line.octets[:-2])

    @classmethod
    def of(cls, received: Response, said: Response, octets: bytes) -> LikeResponses | None:
        """What another head may have in common with one that was received, and sent on.

        Args:
            received: whole; `said` is what was made of it, sent while its `prepared` was a dict.
            octets: the other head, perhaps with content.

        Returns:
            None where it begins otherwise, has not as many lines, or is not of HTTP/1.1.

        RFC 9112 §4, §5.
        """
        ends = octets.find(_END, 0, MOST_HEAD_OCTETS)
        start = _start_line(received) + b"\r\n"
        if ends < 0 or received.version != HTTP_11 or not octets.startswith(start):
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
            if prefix is None or not line.startswith(prefix):
                return None
            value = line[len(prefix) :]
            if place == self._length_place:
                if not value.isdigit() or value[:1] == b"0" or len(value) > MOST_DIGITS:
                    return None
                length = int(value)
            elif not _is_plain(value):
                return None
            target = self._targets[place]
            if target is None:  # the hints of this hop
                keep_alive = (value,)
            else:
                changes.append((target, line + b"\r\n"))
        content = octets[ends + 4 :]
        if len(content) != length:
            return None
        if self._latest.prepared:
            self._ways.learn(self._latest, self._latest.prepared)
        sent = self._sent
        for target, line in changes:
            sent[target] = line
        self._lines, self.keep_alive = lines, keep_alive
        if length != self.framing.length:
            self.framing = framed_by_length(length)
        response = self._latest = LikeResponse(self._said, b"".join(sent), self._ways)
        return response, content


def _start_line(received: Response) -> bytes:
    return b"HTTP/1.1 %d %b" % (received.status, received.reason_phrase or b"")


def _parted(received: Response, said: Response) -> bool:
    """Whether each line is an object of its own: by identity it is told where it went."""
    return all(len(set(map(id, one.fields))) == len(one.fields) for one in (received, said))


def _is_plain(value: bytes) -> bool:
    """Whether octets are a field value without white space around it; what is not ASCII is left to others."""
    return value.isascii() and str(value, "ascii").isprintable() and value == value.strip(b" ") != b""
