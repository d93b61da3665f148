"""What happened on connections: who sent what, when it left one end and when it reached the other.

    Timeline: one act of a scenario
      └─ Lane: one connection between two hosts
           └─ Crossing: a handshake's segment, content, an end; on real TCP each is one packet

Lanes come from whatever carries the octets (a link, a relay, memory), never from the programs, so that they
show both ends and do not depend on what a program says of itself. What it does say is added: notes, and the
reason for which each end gave up a connection.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

Side = Literal["client", "server"]
"""Of a connection: who dialled it, and who was dialled."""

CONTENT_OCTETS: Final = 446
"""What is kept of the content of each crossing: what a link keeps of a frame, its heads counted off."""
START_LINE: Final = re.compile(rb"(?:[A-Z]+ [^\r\n]+ HTTP/1\.[01]|HTTP/1\.[01] [0-9]{3})[^\r\n]*")


@enum.unique
class Kind(enum.Enum):
    """What crosses."""

    SYN = "SYN"
    SYN_ACK = "SYN-ACK"
    ACK = "ACK"
    """An acknowledgement without content."""
    CONTENT = "content"
    FIN = "FIN"
    """The end of one side, perhaps with content."""
    RST = "RST"
    REFUSED = "refused"
    """No connection came about."""


class Crossing(NamedTuple):
    """Something that one end sent. Times in seconds since the act began."""

    sender: Side
    kind: Kind
    sent_at: float
    arrived_at: float | None
    """None where it was lost."""
    octets: int = 0
    """Of TCP's content."""
    packets: int = 1
    """0 where packets are not known."""
    frame_octets: int = 0
    """Of whole frames; 0 where they are not known."""
    content: bytes = b""
    """The beginning of the content."""
    again: bool = False
    """True where the same was sent before."""

    @property
    def start_line(self) -> str:
        """The start line of a message that begins here; "" where none does."""
        found = START_LINE.match(self.content)
        return found[0].decode("latin-1") if found else ""


class Message(NamedTuple):
    """Content of one direction without any of the other between; a message, or several, or a part."""

    sender: Side
    text: str
    """Its start line; "" where it begins without one."""
    began_at: float
    ended_at: float
    """When the last of it arrived."""
    octets: int
    packets: int


@dataclass(slots=True)
class Lane:
    """One connection.

    Attributes:
        number: from 1, in the order in which the connections of the act were begun.
        client, server: names of hosts.
        client_port, server_port: that tell it from others.
        seen_port: the client's port as the server sees it; another where a relay stands in for the link.
        crossings: in the order in which they were sent.
        reasons: what ended it, in the words of each host's own program.
    """

    number: int
    client: str
    server: str
    client_port: int
    server_port: int
    crossings: list[Crossing] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    seen_port: int = 0

    def __post_init__(self) -> None:
        self.seen_port = self.seen_port or self.client_port

    def host(self, side: Side) -> str:
        """The name of the host at one end."""
        return self.client if side == "client" else self.server

    @property
    def began_at(self) -> float:
        """When it was dialled."""
        return self.crossings[0].sent_at if self.crossings else math.inf

    @property
    def established_at(self) -> float:
        """When the client had its connection; math.inf where it never had."""
        answers = (each for each in self.crossings if each.kind is Kind.SYN_ACK)
        return min((each.arrived_at for each in answers if each.arrived_at is not None), default=math.inf)

    @property
    def ended_at(self) -> float:
        """When the first end of a side was sent; math.inf while it is open."""
        ends = (each.sent_at for each in self.crossings if each.kind in ENDS)
        return min(ends, default=math.inf)

    @property
    def ended_by(self) -> Side | None:
        """Who was the first to end its side."""
        ends = [each for each in self.crossings if each.kind in ENDS]
        return min(ends, key=lambda each: each.sent_at).sender if ends else None

    @property
    def packets(self) -> int:
        """How many entered the link, both ways."""
        return sum(each.packets for each in self.crossings)

    def octets(self, side: Side) -> int:
        """Content that a side sent, repetitions not counted."""
        return sum(each.octets for each in self.crossings if each.sender == side and not each.again)

    @property
    def messages(self) -> list[Message]:
        """Its content, in turns."""
        return list(messages_of(self.crossings))

    @property
    def requests(self) -> int:
        """How many messages of the client begin with a request line, as far as they begin a packet."""
        return sum(1 for each in self._contents() if each.sender == "client" and each.start_line)

    @property
    def responses(self) -> int:
        """How many of the server begin with a status line."""
        return sum(1 for each in self._contents() if each.sender == "server" and each.start_line)

    def heads(self, side: Side) -> list[bytes]:
        """The messages of a side as far as `CONTENT_OCTETS` of each are kept, one for each start line."""
        return [each.content for each in self._contents() if each.sender == side and each.start_line]

    def _contents(self) -> Iterator[Crossing]:
        return (each for each in self.crossings if each.octets and not each.again)

    def silences(self, least: float) -> list[tuple[float, float]]:
        """When nothing was under way for at least so many seconds: from, until (the act's end not known)."""
        found, quiet_since = [], math.inf
        for each in sorted(self.crossings, key=lambda each: each.sent_at):
            if each.sent_at - quiet_since >= least:
                found.append((quiet_since, each.sent_at))
            arrived = each.sent_at if each.arrived_at is None else each.arrived_at
            quiet_since = arrived if quiet_since == math.inf else max(quiet_since, arrived)
        return found


ENDS: Final = frozenset({Kind.FIN, Kind.RST})


def messages_of(crossings: list[Crossing]) -> Iterator[Message]:
    """Put content together that follows in the same direction, up to the next start line."""
    current: Message | None = None
    for each in crossings:
        if not each.octets or each.again:
            continue
        arrived = each.sent_at if each.arrived_at is None else each.arrived_at
        if current is not None and current.sender == each.sender and not each.start_line:
            current = current._replace(
                ended_at=max(current.ended_at, arrived),
                octets=current.octets + each.octets,
                packets=current.packets + each.packets,
            )
            continue
        if current is not None:
            yield current
        current = Message(each.sender, each.start_line, each.sent_at, arrived, each.octets, each.packets)
    if current is not None:
        yield current


class Note(NamedTuple):
    """What somebody on the stage has to say."""

    at: float
    host: str
    text: str


@dataclass(slots=True)
class Timeline:
    """One act: connections as lanes, and notes.

    Attributes:
        name: of the act.
        links: what was between the hosts, in words.
        seconds: how long it took.
        began_at: by the clock of its event loop, in seconds.
        lanes: in the order in which they were begun.
    """

    name: str
    links: str = ""
    seconds: float = 0.0
    lanes: list[Lane] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    began_at: float = 0.0

    @property
    def packets(self) -> int:
        """Of all lanes, both ways."""
        return sum(lane.packets for lane in self.lanes)

    @property
    def requests(self) -> int:
        """Of all lanes."""
        return sum(lane.requests for lane in self.lanes)

    def between(self, client: str, server: str) -> list[Lane]:
        """The lanes from one host to another."""
        return [lane for lane in self.lanes if lane.client == client and lane.server == server]

    def document(self) -> dict[str, Any]:
        """For a machine. Times in seconds since the act began; null where they are not."""
        return {
            "name": self.name,
            "links": self.links,
            "seconds": _rounded(self.seconds),
            "packets": self.packets,
            "lanes": [_lane_document(lane) for lane in self.lanes],
            "notes": [{"at": _rounded(at), "host": host, "text": text} for at, host, text in self.notes],
        }


def _lane_document(lane: Lane) -> dict[str, Any]:
    return {
        "number": lane.number,
        "client": lane.client,
        "server": lane.server,
        "began_at": _rounded(lane.began_at),
        "established_at": _rounded(lane.established_at),
        "ended_at": _rounded(lane.ended_at),
        "ended_by": lane.ended_by,
        "requests": lane.requests,
        "responses": lane.responses,
        "packets": lane.packets,
        "client_octets": lane.octets("client"),
        "server_octets": lane.octets("server"),
        "reasons": lane.reasons,
        "messages": [
            {
                **message._asdict(),
                "began_at": _rounded(message.began_at),
                "ended_at": _rounded(message.ended_at),
            }
            for message in lane.messages
        ],
    }


def _rounded(seconds: float) -> float | None:
    return round(seconds, 6) if math.isfinite(seconds) else None
