"""Connections that end: between requests, under a request, and in the middle of a response."""

from __future__ import annotations

from functools import partial
from typing import Final

from bench.guards.cell import each, last, noticed
from bench.guards.row import EITHER, FRESH, NOT_REPEATED, REFUSED, REPEATED, Ask, Row, group
from bench.guards.talk import Talk, answer

UPLOAD_OCTETS: Final = 8 * 1024 * 1024
AFTERWARDS: Final = (Ask(), Ask(awaits=True))
POST_AFTERWARDS: Final = (Ask(), Ask("POST", 5, awaits=True))


def ends_idle(talk: Talk) -> None:
    talk.say(answer(talk.request()))
    talk.rest(0.1)


def resets_idle(talk: Talk) -> None:
    ends_idle(talk)
    talk.reset()


def finishes_idle(talk: Talk) -> None:
    """A FIN while the client does nothing: how soon does it close its own end?"""
    talk.say(answer(talk.request()))
    talk.rest(0.1)
    talk.finish()
    talk.wait_end(7.0)


def ends_on_second(talk: Talk) -> None:
    """Read the second request to its end, and go."""
    talk.say(answer(talk.request()))
    talk.request()


def resets_on_second(talk: Talk) -> None:
    ends_on_second(talk)
    talk.reset()


def resets_second_head(talk: Talk) -> None:
    """Reset under a request that is still being written."""
    talk.say(answer(talk.request()))
    talk.head()
    talk.reset()


def ends_on_first(talk: Talk) -> None:
    talk.request()


def breaks_off(octets: bytes, talk: Talk) -> None:
    """Say the beginning of a response, and go."""
    talk.request()
    talk.say(octets)


def breaks_off_reset(octets: bytes, talk: Talk) -> None:
    breaks_off(octets, talk)
    talk.rest(0.1)
    talk.reset()


def too_large(talk: Talk) -> None:
    """Refuse an upload at its head, and read no more of it."""
    talk.head()
    talk.say(b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    talk.wait_hangup(5.0)


def answers_early(talk: Talk) -> None:
    """Answer an upload at its head, and read all of it afterwards."""
    path = talk.head()
    talk.say(answer(path))
    talk.content()
    talk.serve()


LENGTH_SHORT: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"
CHUNKS_SHORT: Final = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"

NOT_WHOLE: Final = rf"{REFUSED}|own answer, fresh, sent twice; {EITHER}"
"""An error, or the GET again (9112 §9.3.1); never the part as if it were the whole."""

ROWS = group(
    "Connections that end",
    Row("fin", "FIN while idle, then GET", (ends_idle,), last, FRESH, "9112 §9.3.1", AFTERWARDS),
    Row("fin-post", "FIN while idle, then POST", (ends_idle,), last, FRESH, "9112 §9.3.1", POST_AFTERWARDS),
    Row("rst", "RST while idle, then GET", (resets_idle,), last, FRESH, "9112 §9.3.1", AFTERWARDS),
    Row("rst-post", "RST while idle, then POST", (resets_idle,), last, FRESH, "9112 §9.3.1", POST_AFTERWARDS),
    Row(
        "noticed",
        "FIN while idle: when the client, asked nothing, closes its own end",
        (finishes_idle,),
        noticed,
        "at once",
        "9112 §9.5",
        (Ask(),),
        patient=True,
    ),
    Row("second-get", "ends on a second request: GET", (ends_on_second,), last, REPEATED, "9112 §9.3.1"),
    Row(
        "second-put",
        "ends on a second request: PUT",
        (ends_on_second,),
        last,
        REPEATED,
        "9112 §9.3.1",
        (Ask(), Ask("PUT", 5)),
    ),
    Row(
        "second-post",
        "ends on a second request: POST",
        (ends_on_second,),
        last,
        NOT_REPEATED,
        "9110 §9.2.2",
        (Ask(), Ask("POST", 5)),
    ),
    Row(
        "second-get-rst",
        "resets on a second request: GET",
        (resets_on_second,),
        last,
        REPEATED,
        "9112 §9.3.1",
    ),
    Row(
        "second-post-rst",
        "resets on a second request: POST",
        (resets_on_second,),
        last,
        NOT_REPEATED,
        "9110 §9.2.2",
        (Ask(), Ask("POST", 5)),
    ),
    Row(
        "write-put",
        "resets while 8 MiB are written: PUT",
        (resets_second_head,),
        last,
        REPEATED,
        "9112 §9.3.1",
        (Ask(), Ask("PUT", UPLOAD_OCTETS)),
    ),
    Row(
        "write-post",
        "resets while 8 MiB are written: POST",
        (resets_second_head,),
        last,
        NOT_REPEATED,
        "9110 §9.2.2",
        (Ask(), Ask("POST", UPLOAD_OCTETS)),
    ),
    Row("first-get", "ends on the first request of a connection: GET", (ends_on_first,), last, asks=(Ask(),)),
    Row(
        "first-post",
        "ends on the first request of a connection: POST",
        (ends_on_first,),
        last,
        NOT_REPEATED,
        "9110 §9.2.2",
        (Ask("POST", 5),),
    ),
    Row(
        "short-length",
        "content ends before its Content-Length",
        (partial(breaks_off, LENGTH_SHORT),),
        each,
        NOT_WHOLE,
        "9112 §8",
    ),
    Row(
        "short-chunks",
        "content ends before its last chunk",
        (partial(breaks_off, CHUNKS_SHORT),),
        each,
        NOT_WHOLE,
        "9112 §8",
    ),
    Row(
        "short-rst",
        "RST inside content that only the close delimits",
        (partial(breaks_off_reset, b"HTTP/1.1 200 OK\r\n\r\nhello"),),
        each,
        NOT_WHOLE,
        "9112 §8",
    ),
    Row(
        "short-head",
        "ends inside the head",
        (partial(breaks_off, LENGTH_SHORT[:30]),),
        each,
        NOT_WHOLE,
        "9112 §8",
    ),
    Row(
        "early-413",
        "413 and close at the head of an upload of 8 MiB, of which no more is read",
        (too_large,),
        each,
        "413; own answer, fresh",
        "9112 §9.5",
        (Ask("POST", UPLOAD_OCTETS), Ask()),
    ),
    Row(
        "early-200",
        "200 at the head of an upload of 8 MiB, which is read",
        (answers_early,),
        each,
        f"own answer; {EITHER}",
        "9110 §7.5",
        (Ask("POST", UPLOAD_OCTETS), Ask()),
    ),
)
