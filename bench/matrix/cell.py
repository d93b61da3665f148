"""The words that cells share, and what is said to bring them about."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from bench.matrix.asking import SETTLE_SECONDS, Asking
from bench.matrix.origin import Heard, Talk
from bench.servers.raw import Answer, Conversation


def times(heard: Sequence[Heard]) -> str:
    """How often the origin heard of a request."""
    return {0: "not sent", 1: "sent once", 2: "sent twice"}.get(len(heard), f"sent {len(heard)} times")


CLOSE_SECONDS: Final = 1.6
"""How long a cell waits for a close before it says that there is none."""
FLOOD_SECONDS: Final = 6.0
"""How long an origin floods a proxy; whoever is to stop it does so before."""


def status_of(answer: Answer) -> str:
    return {0: "no answer", -1: "octets that are no response"}.get(answer.status, str(answer.status))


def fate(talk: Conversation, answer: Answer) -> str:
    """The status, and what became of the connection: "400, says close, closes", "200, stays open"."""
    words = [status_of(answer)]
    if answer.says_close:
        words.append("says close")
    words.append(end_of(talk))
    return ", ".join(words)


def end_of(talk: Conversation) -> str:
    ending = talk.ending(CLOSE_SECONDS)
    if not ending.closed:
        return "stays open"
    return "closes" if ending.how == "FIN" else "closes by RST"


def refused(octets: Callable[[Asking], bytes]) -> Callable[[Asking], str]:
    """What becomes of a request that is wrong; "forwarded" is added where the origin got it all the same."""

    def probe(asking: Asking) -> str:
        with asking.talk() as talk:
            talk.send(octets(asking))
            return fate(talk, talk.answer(seconds=3.0))

    return probe


def own_answer(asking: Asking, answer: Answer, number: int | str, method: str = "GET") -> str:
    """How a request ended: "200", "502", "foreign answer", "no answer, closed"."""
    if answer.status == 200 and method != "HEAD" and answer.content.decode("latin-1") != asking.path(number):
        return "cut off" if not answer.whole else "foreign answer"
    return status_of(answer)


def follow(asking: Asking, talk: Conversation, number: int | str = "next") -> str:
    """What becomes of a next request on a client's connection: "persists", "closes", "out of step"."""
    if not talk.send(asking.request(number)):
        return "closes"
    after = talk.answer(seconds=3.0)
    if after.status == 200 and after.content.decode("latin-1") == asking.path(number):
        return "persists"
    if not after.status and talk.end:
        return "closes"
    return "hangs" if not after.status else f"out of step ({status_of(after)})"


class Second(NamedTuple):
    """The answers to two requests, and whether the client's connection has ended."""

    first: Answer
    second: Answer
    ended: bool


def one_after_other(
    asking: Asking,
    octets: bytes,
    method: str = "GET",
    between: Callable[[], object] = lambda: time.sleep(SETTLE_SECONDS),
) -> Second:
    """A GET of number 1 and then these octets, on one client connection as long as that lasts."""
    with asking.talk() as talk:
        talk.send(asking.request(1))
        first = talk.answer()
        between()
        gone = first.says_close or bool(talk.end) or (talk.wait(0.0) and not talk.receive(time.monotonic()))
        if not gone:
            talk.send(octets)
            return Second(first, talk.answer(method), bool(talk.end))
    with asking.talk() as talk:
        talk.send(octets)
        return Second(first, talk.answer(method), bool(talk.end))


def reuse(asking: Asking, gap: float = SETTLE_SECONDS, awaits: bool = False) -> str:
    """Two GETs of one client; how the second ended, and on what connection to the origin.

    Args:
        gap: seconds between them.
        awaits: whether the origin's script has to be done before the second.
    """

    def between() -> None:
        if awaits:
            asking.origin.wait_done()
        time.sleep(gap)

    told = one_after_other(asking, asking.request(2), between=between)
    return reuse_words(asking, told.first, told.second)


def reuse_by_another(asking: Asking) -> str:
    """Two GETs of two clients; how the second ended, and on what connection to the origin."""
    first = asking.once(asking.request(1))
    time.sleep(SETTLE_SECONDS)
    return reuse_words(asking, first, asking.once(asking.request(2)))


def reuse_words(asking: Asking, first: Answer, second: Answer) -> str:
    words = [own_answer(asking, second, 2), place_of(asking.heard(2))]
    before = own_answer(asking, first, 1)
    told = ", ".join(words)
    return told if before == "200" else f"{before}; then {told}"


def place_of(heard: Sequence[Heard]) -> str:
    """On what connection a request was answered, and how often it was sent."""
    if not heard:
        return "not sent"
    where = "fresh" if heard[-1].place == 0 else "reused"
    return where if len(heard) == 1 else f"{where}, {times(heard)}"


def with_place(words: str, heard: Sequence[Heard]) -> str:
    """How a request ended, where if it was answered at once, and how often it was sent."""
    fresh = words == "200" and len(heard) == 1 and heard[0].place == 0
    return f"{words}{' on a fresh connection' if fresh else ''}, {times(heard)}"


def race(method: str, content: bytes | None) -> Callable[[Asking], str]:
    """A request on a connection that the origin ends once it has read it."""

    def probe(asking: Asking) -> str:
        octets = asking.request(2, method=method)
        if content is not None:
            octets = asking.post(content, number=2, method=method)
        told = one_after_other(asking, octets, method)
        words = own_answer(asking, told.second, 2, method)
        if words == "no answer" and told.ended:
            words = "no answer, closed"
        return with_place(words, asking.heard(2))

    return probe


def ends_on_second(talk: Talk) -> None:
    """Answer the first request; read the second, and go."""
    answer_first(talk)
    talk.request()


def resets_on_second(talk: Talk) -> None:
    """... with a RST."""
    ends_on_second(talk)
    talk.reset()


def answer_first(talk: Talk, *fields: str, version: str = "1.1", more: bytes = b"") -> None:
    """Answer one request, and say more octets in the same segment."""
    heard = talk.request()
    if heard is None:
        return
    content = heard.path.encode()
    lines = [f"HTTP/{version} 200 OK", *fields, f"Content-Length: {len(content)}", "", ""]
    talk.say("\r\n".join(lines).encode() + content + more)
