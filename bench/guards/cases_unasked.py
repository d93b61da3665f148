"""Octets that nobody asked for: they must never answer a request."""

from __future__ import annotations

from functools import partial
from typing import Final

from bench.guards.cell import last
from bench.guards.row import EITHER, Ask, Row, group
from bench.guards.talk import Talk, answer

EVIL: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
LATE: Final = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
LATER: Final = (Ask(), Ask(awaits=True))
LATER_POST: Final = (Ask(), Ask("POST", 5, awaits=True))
LAST_CHUNK: Final = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n/1\r\n0\r\n\r\n"


def behind(surplus: bytes, talk: Talk) -> None:
    """Octets right behind a response, in the same segment."""
    talk.say(answer(talk.request()) + surplus)
    talk.done()
    talk.serve()


def behind_chunks(talk: Talk) -> None:
    talk.request()
    talk.say(LAST_CHUNK + EVIL)
    talk.serve()


def while_idle(octets: bytes, talk: Talk) -> None:
    """Octets a while after a response."""
    talk.say(answer(talk.request()))
    talk.rest(0.15)
    talk.say(octets)
    talk.done()
    talk.serve()


def late_and_gone(talk: Talk) -> None:
    """A 408 as an idle close."""
    talk.say(answer(talk.request()))
    talk.rest(0.15)
    talk.say(LATE)


def headless(response: bytes, talk: Talk) -> None:
    """A response whose head is all there may be, said as it is."""
    talk.request()
    talk.say(response)
    talk.serve()


HEAD_OF_EVIL: Final = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(EVIL)

ROWS = group(
    "Octets that nobody asked for",
    Row(
        "behind",
        "a second response in the same segment",
        (partial(behind, EVIL),),
        last,
        EITHER,
        "9112 §9.2",
    ),
    Row(
        "behind-chunks", "a second response behind a last chunk", (behind_chunks,), last, EITHER, "9112 §9.2"
    ),
    Row(
        "behind-rubbish",
        "content goes on beyond Content-Length",
        (partial(behind, b"more than it said"),),
        last,
        EITHER,
        "9112 §6.3",
    ),
    Row(
        "idle-200",
        "a response while idle, then GET",
        (partial(while_idle, EVIL),),
        last,
        EITHER,
        "9112 §9.2",
        LATER,
    ),
    Row(
        "idle-200-post",
        "a response while idle, then POST",
        (partial(while_idle, EVIL),),
        last,
        EITHER,
        "9112 §9.2",
        LATER_POST,
    ),
    Row(
        "idle-100",
        "a 100 (Continue) while idle",
        (partial(while_idle, b"HTTP/1.1 100 Continue\r\n\r\n"),),
        last,
        EITHER,
        "9110 §15.2",
        LATER,
    ),
    Row(
        "idle-408",
        "408 and FIN while idle, then GET",
        (late_and_gone,),
        last,
        EITHER,
        "9110 §15.5.9",
        LATER,
    ),
    Row(
        "idle-408-post",
        "408 and FIN while idle, then POST",
        (late_and_gone,),
        last,
        EITHER,
        "9110 §15.5.9",
        LATER_POST,
    ),
    Row(
        "idle-408-open",
        "408 while idle, no FIN",
        (partial(while_idle, LATE),),
        last,
        EITHER,
        "9110 §15.5.9",
        LATER,
    ),
    Row(
        "idle-octet",
        "one octet while idle",
        (partial(while_idle, b"x"),),
        last,
        EITHER,
        "9112 §9.2",
        LATER,
    ),
    Row(
        "stray-line",
        "an empty line behind a response",
        (partial(behind, b"\r\n"),),
        last,
        EITHER,
        "9112 §2.2",
        LATER,
    ),
    Row(
        "idle-lines",
        "64 KiB of empty lines while idle",
        (partial(while_idle, b"\r\n" * 32768),),
        last,
        EITHER,
        "9112 §9.2",
        LATER,
    ),
    Row(
        "head",
        "HEAD: Content-Length without content",
        (partial(headless, HEAD_OF_EVIL),),
        last,
        EITHER,
        "9112 §6.3",
        (Ask("HEAD"), Ask()),
    ),
    Row(
        "head-content",
        "HEAD: answered with content that is a response",
        (partial(headless, HEAD_OF_EVIL + EVIL),),
        last,
        EITHER,
        "9112 §6.3",
        (Ask("HEAD"), Ask()),
    ),
)
