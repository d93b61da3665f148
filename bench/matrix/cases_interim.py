"""Before, beside and behind the content: 1xx, expectations, early answers, trailers, pipelines, upgrades."""

from __future__ import annotations

import time
from typing import Final

from bench.matrix.asking import SETTLE_SECONDS, Asking
from bench.matrix.cell import end_of, follow, own_answer, status_of
from bench.matrix.origin import Heard, Talk, answer, plain
from bench.matrix.row import OURS, Row, group
from bench.servers.raw import Conversation

UPLOAD_OCTETS: Final = 2 * 1024 * 1024
CHUNKED: Final = "Transfer-Encoding: chunked"
EXPECT: Final = "Expect: 100-continue"


def early_hints(talk: Talk) -> None:
    while (heard := talk.request()) is not None:
        talk.say(plain(b"", "Link: </a>", status="103 Early Hints") + answer(heard))


def hints(asking: Asking) -> str:
    answered = asking.once(asking.request())
    relayed = "relayed" if 103 in answered.interim else "not relayed"
    return f"{relayed}, {own_answer(asking, answered, 1)}"


def hints_for_old(asking: Asking) -> str:
    answered = asking.once(asking.request(1, version="1.0"))
    return f"{'sent' if answered.interim else 'not sent'}, {own_answer(asking, answered, 1)}"


# Expectations


def asks_for_more(talk: Talk) -> None:
    """Say 100 where it is expected, and then answer with the content."""
    while (heard := talk.head()) is not None:
        if heard.field("expect"):
            talk.say(b"HTTP/1.1 100 Continue\r\n\r\n")
        talk.content(heard)
        talk.say(answer(heard))


def expectation(asking: Asking) -> str:
    """What the origin sees of the expectation, how often the client is told to go on, and the answer."""
    with asking.talk() as talk:
        talk.send(asking.request(1, EXPECT, "Content-Length: 5", method="POST"))
        told = talk.asked_to_continue(3.0)
        talk.send(b"hello")
        answered = talk.answer()
    heard = asking.heard()
    seen = "passed on" if heard and heard[0].field("expect") else "taken off"
    count = told + answered.interim.count(100)
    return f"{seen}, {count} × 100, {own_answer(asking, answered, 1)}"


def refuses_expectation(talk: Talk) -> None:
    """Answer at the head; the content that was promised is not wanted."""
    heard = talk.head()
    if heard is None:
        return
    if not heard.field("expect"):
        talk.content(heard)
    talk.say(plain(b"", "Content-Length: 0", status="403 Forbidden"))
    while (heard := talk.request()) is not None:
        talk.say(answer(heard))


def final_instead(asking: Asking) -> str:
    """A final answer in place of 100; the client keeps its content, and another client asks."""
    with asking.talk() as talk:
        talk.send(asking.request(1, EXPECT, "Content-Length: 5", method="POST"))
        if talk.asked_to_continue(2.0):
            talk.send(b"hello")
        first = talk.answer()
    time.sleep(SETTLE_SECONDS)
    second = asking.once(asking.request(2))
    return f"{status_of(first)}; then {own_answer(asking, second, 2)}"


def final_then_next(asking: Asking) -> str:
    """The same client: told of a close it keeps its content, otherwise it sends it, and a next request."""
    with asking.talk() as talk:
        talk.send(asking.request(1, EXPECT, "Content-Length: 40", method="POST"))
        if talk.asked_to_continue(2.0):
            return "100"
        first = talk.answer()
        if first.says_close:
            return f"{status_of(first)}, says close, {end_of(talk)}"
        talk.send(b"x" * 40)  # nothing else may come in its place
        return f"{status_of(first)}, {follow(asking, talk)}"


def old_expectation(asking: Asking) -> str:
    """An expectation in HTTP/1.0 is to be ignored."""
    octets = asking.request(1, EXPECT, "Content-Length: 5", method="POST", version="1.0", content=b"hello")
    answered = asking.once(octets)
    return f"{len(answered.interim)} × 100, {own_answer(asking, answered, 1)}"


# Early answers


def too_large(talk: Talk) -> None:
    """Refuse an upload at its head, and close."""
    heard = talk.head()
    if heard is not None:
        talk.say(plain(b"", "Connection: close", "Content-Length: 0", status="413 Content Too Large"))
        talk.finish()
        talk.rest(0.5)


def answers_early(talk: Talk) -> None:
    """Answer at the head, and read whatever comes as the content that it is."""
    heard = talk.head()
    if heard is not None:
        talk.say(answer(heard))
        talk.content(heard)
        talk.serve()


def upload(asking: Asking) -> str:
    """An upload of 2 MiB that is refused at its head."""
    with asking.talk() as talk:
        sent = talk.send(asking.post(b"x" * UPLOAD_OCTETS))
        answered = talk.answer()
        words = status_of(answered) + ("" if sent else ", upload cut off")
    return words if not asking.others() else f"{words}, content became a request"


def early_then_next(asking: Asking) -> str:
    """Answered at its head, the client sends the rest of its content, which looks like a request."""
    rest = asking.request("smuggled")
    with asking.talk() as talk:
        talk.send(asking.request(1, f"Content-Length: {len(rest)}", method="POST"))
        first = talk.answer(seconds=2.0)
        talk.send(rest)
        late = status_of(first if first.status else talk.answer())
        time.sleep(SETTLE_SECONDS)
    heard = asking.heard("smuggled")
    second = asking.once(asking.request(2))
    told = "content became a request" if heard else "stayed content"
    return f"{late}, {told}; then {own_answer(asking, second, 2)}"


# Trailers


def with_trailers(talk: Talk) -> None:
    while talk.request() is not None:
        trailers = b"X-Checksum: 1\r\nContent-Length: 7\r\nX-Hop: 1\r\n"
        named = ("Trailer: X-Checksum", "Connection: X-Hop", CHUNKED)
        talk.say(plain(b"5\r\nhello\r\n0\r\n" + trailers + b"\r\n", *named))


def trailers_of(talk: Conversation, octets: bytes) -> tuple[str, str]:
    """Head and trailer section of a chunked response, in lower case."""
    talk.send(octets)
    said = talk.ending(2.0).octets.decode("latin-1").lower()
    head, _, rest = said.partition("\r\n\r\n")
    return head, rest.rpartition("0\r\n")[2]


def response_trailers(asking: Asking) -> str:
    """Whether a trailer field reaches a client that takes them, and what should not comes with it."""
    with asking.talk() as talk:
        octets = asking.request(1, "TE: trailers", "Connection: TE, close")
        _, trailers = trailers_of(talk, octets)
    words = "relayed" if "x-checksum" in trailers else "not relayed"
    wrong = [name for name in ("content-length", "x-hop") if name in trailers]
    return f"{words}, with {', '.join(wrong)}" if wrong else words


def request_trailers(asking: Asking) -> str:
    trailers = b"X-Checksum: 1\r\nContent-Length: 7\r\nHost: other.example\r\n"
    octets = asking.request(
        1, "Trailer: X-Checksum", CHUNKED, method="POST", content=b"5\r\nhello\r\n0\r\n" + trailers + b"\r\n"
    )
    answered = asking.once(octets)
    heard = asking.heard()
    if not heard:
        return status_of(answered)
    got = heard[0].trailers.lower()
    wrong = [name for name in ("content-length", "host") if f"{name}:" in got]
    return ("relayed" if "x-checksum" in got else "not relayed") + (
        f", with {', '.join(wrong)}" if wrong else ""
    )


# Order


def pipeline(asking: Asking) -> str:
    """Three requests in one segment."""
    with asking.talk() as talk:
        talk.send(b"".join(asking.request(number) for number in (1, 2, 3)))
        answers = [talk.answer() for _ in range(3)]
    told = [own_answer(asking, answer, number) for number, answer in enumerate(answers, 1)]
    if told[0] == "200" and answers[0].says_close and told[1:] == ["no answer"] * 2:
        return "first only, says close"
    return "in order" if told == ["200"] * 3 else ", ".join(told)


def slow_first(talk: Talk) -> None:
    """The first connection takes its time; those beside it do not."""
    while (heard := talk.request()) is not None:
        talk.rest(0.4)
        talk.say(answer(heard))


def pipeline_close(asking: Asking) -> str:
    """A request behind one that announces the close."""
    with asking.talk() as talk:
        talk.send(asking.request(1, "Connection: close") + asking.request(2, method="DELETE"))
        first = talk.answer()
        ending = end_of(talk)
        time.sleep(SETTLE_SECONDS)
    forwarded = "forwarded" if asking.heard(2) else "not forwarded"
    return f"{own_answer(asking, first, 1)}, second {forwarded}, {ending}"


# Upgrades


def switches(talk: Talk) -> None:
    """Switch protocols, and say back what is said."""
    if talk.request() is None:
        return
    talk.say(
        plain(b"", "Connection: Upgrade", "Upgrade: websocket", ACCEPT, status="101 Switching Protocols")
    )
    while talk.buffer or talk.receive():
        talk.say(talk.buffer)
        talk.buffer = b""
    talk.finish()


def refuses_switch(talk: Talk) -> None:
    talk.serve()


UPGRADE: Final = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
KEY: Final = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT: Final = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def upgrade(asking: Asking) -> str:
    """A WebSocket's handshake, octets both ways, and the client's FIN."""
    with asking.talk() as talk:
        talk.send(asking.request(1, *UPGRADE, KEY))
        if not _switched(talk):
            return "no 101"
        talk.send(b"\x00hello\xff")
        deadline = time.monotonic() + 3.0
        while len(talk.buffer) < 7 and talk.receive(deadline):
            pass
        echoed = bytes(talk.buffer) == b"\x00hello\xff"
        talk.buffer.clear()
        talk.finish_sending()
        ended = talk.ending(3.0).closed
    return f"101, {'octets cross' if echoed else 'octets lost'}, {'ends' if ended else 'does not end'}"


def _switched(talk: Conversation) -> bool:
    deadline = time.monotonic() + 3.0
    while b"\r\n\r\n" not in talk.buffer and talk.receive(deadline):
        pass
    head, _, rest = bytes(talk.buffer).partition(b"\r\n\r\n")
    talk.buffer[:] = rest
    return head.startswith(b"HTTP/1.1 101")


def upgrade_early(asking: Asking) -> str:
    """Octets sent before the 101 that never comes: they may not reach the origin unread (CVE-2026-2833)."""
    raw = b"\x16\x03\x01raw octets\r\n\r\n"
    with asking.talk() as talk:
        talk.send(asking.request(1, *UPGRADE, KEY) + raw)
        answered = talk.answer()
        time.sleep(SETTLE_SECONDS)
    strange: list[Heard] = [heard for heard in asking.origin.heard if "raw octets" in heard.head]
    return f"{status_of(answered)}, {'reach the origin' if strange else 'held back'}"


ROWS: Final = (
    *group(
        "Interim responses, expectations, trailers",
        Row("hints", "103", hints, "relayed, 200", "ours; 9110 §15.2 (a proxy MUST)", scripts=(early_hints,)),
        Row(
            "hints-old",
            "103 for an HTTP/1.0 client",
            hints_for_old,
            "not sent, 200",
            "9110 §15.2 MUST NOT",
            scripts=(early_hints,),
        ),
        Row(
            "expect",
            "`Expect: 100-continue`",
            expectation,
            "passed on, 1 × 100, 200",
            "ours; 9110 §10.1.1 (a proxy MUST)",
            scripts=(asks_for_more,),
        ),
        Row(
            "expect-final",
            "a final answer in place of 100; next request of another client",
            final_instead,
            "403; then 200",
            "9110 §10.1.1",
            scripts=(refuses_expectation,),
        ),
        Row(
            "expect-next",
            "the same; next request of the same client",
            final_then_next,
            "403, (says close, closes|closes|persists)|100",
            "9110 §10.1.1",
            scripts=(refuses_expectation,),
        ),
        Row("expect-old", "an expectation in HTTP/1.0", old_expectation, "0 × 100, 200", "9110 §10.1.1 MUST"),
        Row(
            "trailers",
            "trailer of a response, wanted by the client",
            response_trailers,
            "relayed",
            OURS,
            scripts=(with_trailers,),
        ),
        Row(
            "request-trailers",
            "trailer of a request",
            request_trailers,
            "relayed|not relayed",
            "9110 §6.5.1 MUST NOT",
        ),
    ),
    *group(
        "Answers before the request has ended, and order",
        Row(
            "early-413", "413 and close while 2 MiB come up", upload, "413", "9112 §9.6", scripts=(too_large,)
        ),
        Row(
            "early-rest",
            "answered at its head; the rest looks like a request",
            early_then_next,
            r"\d+, stayed content; then 200",
            "9112 §9.3",
            scripts=(answers_early,),
        ),
        Row(
            "pipeline",
            "three requests in one segment",
            pipeline,
            "in order|first only, says close",
            "9112 §9.3.2 MUST",
        ),
        Row(
            "pipeline-slow",
            "the same, the first connection being slow",
            pipeline,
            "in order|first only, says close",
            "9112 §9.3.2 MUST",
            scripts=(slow_first,),
        ),
        Row(
            "pipeline-close",
            "a request behind one with `close`",
            pipeline_close,
            "200, second not forwarded, closes",
            "9112 §9.6 MUST NOT",
        ),
    ),
    *group(
        "Switching protocols",
        Row("upgrade", "WebSocket through it", upgrade, "101, octets cross, ends", OURS, scripts=(switches,)),
        Row(
            "upgrade-early",
            "octets behind an upgrade that is not granted",
            upgrade_early,
            r"\d+, held back",
            "9110 §7.8",
            scripts=(refuses_switch,),
        ),
    ),
)
