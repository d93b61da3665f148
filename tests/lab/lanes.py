"""A connection as a lane, for tests of what is made of lanes."""

from __future__ import annotations

from perdure.lab.lanes import Crossing, Kind, Lane, Note, Timeline

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"


def exchange_lane() -> Lane:
    """Handshake to 0.1, request to 0.2, response from 0.3 to 0.5 in two parts, FIN of the server at 0.8."""
    lane = Lane(1, "client", "server", 40000, 8000, reasons={"server": "idle limit reached (9112 §9.5)"})
    lane.crossings = [
        Crossing("client", Kind.SYN, 0.0, 0.05),
        Crossing("server", Kind.SYN_ACK, 0.05, 0.1),
        Crossing("client", Kind.CONTENT, 0.1, 0.2, len(REQUEST), content=REQUEST),
        Crossing("server", Kind.CONTENT, 0.3, 0.4, len(RESPONSE), content=RESPONSE),
        Crossing("server", Kind.CONTENT, 0.35, None, 4, content=b"body"),
        Crossing("server", Kind.CONTENT, 0.4, 0.5, 4, content=b"body", again=True),
        Crossing("server", Kind.FIN, 0.8, 0.85),
    ]
    return lane


def exchange_timeline() -> Timeline:
    """One act with that lane and a note."""
    note = Note(0.5, "client", "got <it>")
    return Timeline("an & act", "rtt 100 ms", 1.0, [exchange_lane()], [note])
