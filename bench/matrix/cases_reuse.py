"""Which connection to the origin a next request takes, and what happens where it had gone stale."""

from __future__ import annotations

import time
from functools import partial
from typing import Final

from bench.matrix.asking import SETTLE_SECONDS, Asking
from bench.matrix.cell import (
    answer_first,
    ends_on_second,
    follow,
    one_after_other,
    own_answer,
    race,
    resets_on_second,
    reuse,
    status_of,
    times,
    with_place,
)
from bench.matrix.origin import Talk
from bench.matrix.row import FRESH, ONCE, OURS, REPEATED, Row, group

MANY: Final = 8


def four_clients(asking: Asking) -> str:
    """Four requests, each on a client connection of its own."""
    for number in range(4):
        answered = asking.once(asking.request(number))
        if answered.status != 200:
            return status_of(answered)
        time.sleep(SETTLE_SECONDS)
    return str(len({heard.connection for heard in asking.origin.heard}))


def says_hint(hint: str, talk: Talk) -> None:
    talk.serve("Connection: keep-alive", f"Keep-Alive: {hint}")


def finishes_idle(talk: Talk) -> None:
    answer_first(talk)
    talk.rest(0.1)
    talk.finish()
    talk.done()
    talk.wait_end()


def resets_idle(talk: Talk) -> None:
    answer_first(talk)
    talk.rest(0.1)
    talk.done()
    talk.reset()


def speaks_idle(octets: bytes, talk: Talk) -> None:
    """Say something unasked on an idle connection, and serve on."""
    answer_first(talk)
    talk.rest(0.1)
    talk.say(octets)
    talk.done()
    talk.serve()


def begins_second(talk: Talk) -> None:
    """Answer the second request in part, and go."""
    answer_first(talk)
    if talk.request() is not None:
        talk.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart")


def breaks_promise(talk: Talk) -> None:
    """Promise to keep the connection, and end it as the next request arrives."""
    answer_first(talk, "Connection: keep-alive", "Keep-Alive: timeout=30")
    talk.request()


def answers_408(talk: Talk) -> None:
    """The origin gave up waiting just as the second request came."""
    answer_first(talk)
    if talk.request() is not None:
        talk.say(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")


def partly(asking: Asking) -> str:
    """A response that breaks off: whatever came must not be taken for all of it, nor be asked for again."""
    answered = one_after_other(asking, asking.request(2)).second
    told = "cut off" if answered.status == 200 and not answered.whole else own_answer(asking, answered, 2)
    return with_place(told, asking.heard(2))


def restarted(asking: Asking) -> str:
    """Eight idle connections that all end at their next use: what becomes of one GET?"""
    talks = [asking.talk() for _ in range(MANY)]
    opened = [talk.__enter__() for talk in talks]
    try:
        for number, talk in enumerate(opened):
            talk.send(asking.request(f"first-{number}"))
        answers = [talk.answer().status for talk in opened]
    finally:
        for each in talks:
            each.__exit__(None, None, None)
    if set(answers) != {200}:
        return f"{sorted(set(answers))}"
    time.sleep(SETTLE_SECONDS)
    answered = asking.once(asking.request(2))
    return with_place(own_answer(asking, answered, 2), asking.heard(2))


def slow_then_ends(talk: Talk) -> None:
    """Wait, so that others need a connection each; then end at the next request."""
    heard = talk.request()
    if heard is None:
        return
    talk.rest(0.5)
    content = heard.path.encode()
    talk.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(content), content))
    talk.request()


def hangs_up(talk: Talk) -> None:
    """Read a request on a new connection, and go."""
    talk.request()


def fresh_end(method: str, asking: Asking) -> str:
    """A request whose fresh connection ends without an answer."""
    octets = asking.post(b"hello", method=method) if method == "POST" else asking.request(method=method)
    with asking.talk() as talk:
        talk.send(octets)
        answered = talk.answer(method)
        words = own_answer(asking, answered, 1)
        if words == "no answer" and talk.end:
            words = "no answer, closed"
    return f"{words}, {times(asking.heard())}"


def after_own_error(asking: Asking) -> str:
    """The proxy answers in the origin's place: is the client's connection still good?"""
    with asking.talk() as talk:
        talk.send(asking.request(1, method="PATCH"))
        answered = talk.answer()
        if answered.status not in (502, 503, 504):
            return status_of(answered)
        return f"{answered.status}, {follow(asking, talk)}"


def ended(octets: bytes) -> partial[None]:
    return partial(speaks_idle, octets)


EVIL: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
IDLE_408: Final = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
AWAITING: Final = partial(reuse, awaits=True)
ROWS: Final = (
    *group(
        "Reuse",
        Row(
            "clients",
            "four requests of four clients: connections to the origin",
            four_clients,
            "1",
            OURS,
            alone=True,
        ),
        Row(
            "hint",
            "origin says `timeout=1`, 2.2 s pass: next request",
            partial(reuse, gap=2.2),
            FRESH,
            OURS,
            scripts=(partial(says_hint, "timeout=1"),),
        ),
        Row(
            "hint-kept",
            "origin says `timeout=30`, 2.2 s pass: next request",
            partial(reuse, gap=2.2),
            "200, reused",
            OURS,
            scripts=(partial(says_hint, "timeout=30"),),
        ),
        Row(
            "hint-max",
            "origin says `max=0`: next request",
            reuse,
            FRESH,
            OURS,
            scripts=(partial(says_hint, "timeout=30, max=0"),),
        ),
        Row(
            "idle-fin",
            "FIN on an idle connection, then GET",
            AWAITING,
            FRESH,
            "9112 §9.5",
            scripts=(finishes_idle,),
        ),
        Row(
            "idle-rst",
            "RST on an idle connection, then GET",
            AWAITING,
            FRESH,
            "9112 §9.5",
            scripts=(resets_idle,),
        ),
        Row(
            "idle-response",
            "a response nobody asked for, then GET",
            AWAITING,
            FRESH,
            "9112 §9.2 MUST NOT",
            scripts=(ended(EVIL),),
        ),
        Row(
            "idle-408",
            "408 on an idle connection, then GET",
            AWAITING,
            FRESH,
            "9110 §15.5.9",
            scripts=(ended(IDLE_408),),
        ),
        Row(
            "idle-garbage",
            "octets that are no HTTP on an idle connection, then GET",
            AWAITING,
            FRESH,
            "9112 §9.2 MUST NOT",
            scripts=(ended(b"garbage\r\n"),),
        ),
    ),
    *group(
        "The origin ends a reused connection as the request arrives",
        Row("race-get", "GET", race("GET", None), REPEATED, OURS, scripts=(ends_on_second,)),
        Row("race-get-rst", "GET, RST", race("GET", None), REPEATED, OURS, scripts=(resets_on_second,)),
        Row("race-head", "HEAD", race("HEAD", None), REPEATED, OURS, scripts=(ends_on_second,)),
        Row("race-delete", "DELETE", race("DELETE", None), REPEATED, OURS, scripts=(ends_on_second,)),
        Row("race-put", "PUT with content", race("PUT", b"hello"), REPEATED, OURS, scripts=(ends_on_second,)),
        Row(
            "race-post",
            "POST with content",
            race("POST", b"hello"),
            ONCE,
            "9110 §9.2.2 MUST NOT",
            scripts=(ends_on_second,),
        ),
        Row(
            "race-post-rst",
            "POST with content, RST",
            race("POST", b"hello"),
            ONCE,
            "9110 §9.2.2 MUST NOT",
            scripts=(resets_on_second,),
        ),
        Row(
            "race-post-empty",
            "POST without content",
            race("POST", b""),
            ONCE,
            "9110 §9.2.2 MUST NOT",
            scripts=(ends_on_second,),
        ),
        Row(
            "race-post-hint",
            "POST with content, the origin having promised `timeout=30`",
            race("POST", b"hello"),
            ONCE,
            "9110 §9.2.2 MUST NOT",
            scripts=(breaks_promise,),
        ),
        Row(
            "race-patch",
            "PATCH",
            race("PATCH", b"hello"),
            ONCE,
            "9110 §9.2.2 MUST NOT",
            scripts=(ends_on_second,),
        ),
        Row(
            "race-408",
            "GET, a 408 in place of an answer",
            race("GET", None),
            REPEATED,
            OURS,
            scripts=(answers_408,),
        ),
        Row(
            "race-part",
            "GET, part of an answer",
            partly,
            "(cut off|50.|no answer|200 on a fresh connection), sent once",
            "9112 §8",
            scripts=(begins_second,),
        ),
        Row(
            "siblings",
            "GET, and seven more connections are as dead",
            restarted,
            REPEATED,
            OURS,
            scripts=(slow_then_ends,) * MANY,
        ),
    ),
    *group(
        "A fresh connection ends without an answer",
        Row(
            "fresh-get", "GET", partial(fresh_end, "GET"), "50[234], sent once", OURS, scripts=(hangs_up,) * 8
        ),
        Row(
            "fresh-post",
            "POST",
            partial(fresh_end, "POST"),
            "(502|503|504|no answer, closed), sent once",
            "9110 §9.2.2 MUST NOT",
            scripts=(hangs_up,) * 8,
        ),
        Row(
            "own-error",
            "the client's connection after the proxy's own error",
            after_own_error,
            "50[234], persists",
            OURS,
            scripts=(hangs_up,),
        ),
    ),
)
