"""What ends: an origin that is gone, heads without measure, and the proxy itself."""

from __future__ import annotations

import socket
import time
from typing import Final

from bench.matrix.asking import SETTLE_SECONDS, Asking
from bench.matrix.cell import end_of, follow, own_answer, status_of
from bench.matrix.origin import Talk, answer
from bench.matrix.row import OURS, Row, group

BIG: Final = 200_000


def gone(asking: Asking) -> str:
    """The origin listens no more."""
    asking.origin.close()
    with asking.talk() as talk:
        talk.send(asking.request())
        answered = talk.answer(seconds=8.0)
        if answered.says_close:
            return f"{status_of(answered)}, says close, {end_of(talk)}"
        again = talk.send(asking.request(2)) and talk.answer(seconds=8.0).status
        return f"{status_of(answered)}, {'persists' if again else 'closes'}"


def big_head(asking: Asking) -> str:
    """One field line of 200 kB."""
    with asking.talk() as talk:
        talk.send(asking.request(1, f"X-Big: {'x' * BIG}"))
        answered = talk.answer(seconds=3.0)
    return status_of(answered) + (", forwarded" if asking.heard() else "")


def long_target(asking: Asking) -> str:
    """A target of 200 kB."""
    with asking.talk() as talk:
        talk.send(asking.request("1" * BIG))
        answered = talk.answer(seconds=3.0)
    return status_of(answered)


def slow_answer(talk: Talk) -> None:
    while (heard := talk.request()) is not None:
        talk.rest(0.8)
        talk.say(answer(heard))


def stops_busy(asking: Asking) -> str:
    """Asked to end while a request is under way."""
    with asking.talk() as talk:
        talk.send(asking.request())
        time.sleep(2 * SETTLE_SECONDS)
        asking.stop()
        answered = talk.answer()
        words = own_answer(asking, answered, 1)
        if words == "no answer":
            return "no answer"
        said = ", says close" if answered.says_close else ""
        return f"{words}{said}"


def stops_idle(asking: Asking) -> str:
    """Asked to end; an idle client, which cannot know of it yet, sends its next request."""
    with asking.talk() as talk:
        talk.send(asking.request())
        talk.answer()
        time.sleep(SETTLE_SECONDS)
        asking.stop()
        time.sleep(SETTLE_SECONDS)
        return "answered" if follow(asking, talk, 2) == "persists" else "not answered"


def half_closed(asking: Asking) -> str:
    """A client that closes its sending side and waits for the answer."""
    with asking.talk() as talk:
        talk.send(asking.request())
        talk.socket.shutdown(socket.SHUT_WR)
        return own_answer(asking, talk.answer(), 1)


def looped(asking: Asking) -> str:
    """A request that has passed through a hundred proxies of the same name."""
    first = asking.once(asking.request(1))
    del first
    heard = asking.heard()
    ours = heard[0].field("via") if heard else ""
    if not ours:
        return "says no Via"
    answered = asking.once(asking.request(2, f"Via: {', '.join([ours] * 20)}"))
    return f"{status_of(answered)}{', forwarded' if asking.heard(2) else ''}"


ROWS: Final = group(
    "Limits and ends",
    Row("gone", "the origin is gone: the client's connection", gone, "50[234], persists", OURS, alone=True),
    Row("half-closed", "a client closes its side and waits", half_closed, "200", OURS),
    Row("loop", "a request that has been here before", looped, "508|4..|says no Via", "9110 §7.6"),
    Row("big-field", "a field line of 200 kB", big_head, "4..|200, forwarded", "9110 §5.4 MUST 4xx"),
    Row("long-target", "a target of 200 kB", long_target, "414|200", "9112 §3 MUST 414"),
    Row(
        "stop-busy",
        "told to end with a request under way",
        stops_busy,
        "200, says close",
        "9112 §9.6 SHOULD",
        scripts=(slow_answer,),
    ),
    Row("stop-idle", "told to end, next request of an idle client", stops_idle, "answered", OURS, alone=True),
)
