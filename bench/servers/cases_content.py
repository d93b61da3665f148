"""Content that is not read, not wanted, or not what was announced. RFC 9112 §6.3, §9.3; RFC 9110 §10.1.1."""

from __future__ import annotations

import threading
from typing import Final

from bench.servers.cell import NEXT, close_of, follow, is_seven, post, request, status_of, steadily
from bench.servers.raw import Answer, Conversation, conversation
from bench.servers.row import CUT_OFF, IN_STEP, Row, group
from bench.servers.subjects import Running

MEBIBYTE: Final = 1 << 20
EXPECT: Final = "Expect: 100-continue"


def unread_small(server: Running) -> str:
    """Ten thousand octets that no application reads, then the next request."""
    with conversation(server.port) as talk:
        talk.send(post("/ignore", b"x" * 10_000))
        return f"{fate_of_unread(talk, talk.answer())}"


def unread_large(server: Running) -> str:
    """A mebibyte, all of it sent while the response is read."""
    with conversation(server.port) as talk:
        sender = threading.Thread(target=talk.send, args=[post("/ignore", b"x" * MEBIBYTE)], daemon=True)
        sender.start()
        answer = talk.answer()
        sender.join(3.0)
        return fate_of_unread(talk, answer)


def fate_of_unread(talk: Conversation, answer: Answer) -> str:
    return follow(talk, answer) if answer.whole else f"response lost: {status_of(answer)}"


def early_response(server: Running) -> str:
    """413 while eight mebibytes are announced and 32 KiB sent; the client then stops, as it ought to."""
    with conversation(server.port) as talk:
        head = request("/refuse", f"Content-Length: {8 * MEBIBYTE}", method="POST")
        talk.send(head + b"x" * 32768)
        answer = talk.answer()
        return f"{status_of(answer)}, {close_of(talk, answer.says_close, seconds=4.0)}"


def early_response_unseen(server: Running) -> str:
    """The same to a client that looks only after it has sent a mebibyte."""
    with conversation(server.port) as talk:
        talk.send(request("/refuse", f"Content-Length: {MEBIBYTE}", method="POST"))
        taken: list[bool] = []
        sender = threading.Thread(target=lambda: taken.append(talk.send(b"x" * MEBIBYTE)), daemon=True)
        sender.start()
        sender.join(3.0)
        answer = talk.answer(seconds=2.0)
        upload = {(True,): "", (False,): ", upload cut off", (): ", upload not taken"}[tuple(taken)]
        if taken == [True] and is_seven_after(talk, answer):
            return f"{status_of(answer)}, persists"
        return f"{status_of(answer)}, {close_of(talk, answer.says_close)}{upload}"


def is_seven_after(talk: Conversation, answer: Answer) -> bool:
    return not answer.says_close and talk.send(NEXT) and is_seven(talk.answer(seconds=1.0))


def expect_when(server: Running) -> str:
    """The application waits half a second before it reads."""
    with conversation(server.port) as talk:
        talk.send(post("/late", b"hello", EXPECT)[:-5])
        if talk.asked_to_continue(0.3):
            when = "at once"
        elif talk.asked_to_continue(1.2):
            when = "when the application reads"
        else:
            when = "never"
        talk.send(b"hello")
        answer = talk.answer()
        if answer.content != b"hello":
            return f"{when}, then {status_of(answer)}"
        return f"{when}, twice" if answer.interim else when


def expect_unread(server: Running) -> str:
    """The application does not read: without a 100 nobody knows whether the content will follow."""
    with conversation(server.port) as talk:
        talk.send(post("/ignore", b"hello", EXPECT)[:-5])
        asked = talk.asked_to_continue(2.0)
        if asked:
            talk.send(b"hello")
        answer = talk.answer()
        return f"{'100, ' if asked else ''}{status_of(answer)}, {follow(talk, answer)}"


def expect_unknown(server: Running) -> str:
    with conversation(server.port) as talk:
        talk.send(request("/hello", "Expect: something"))
        return status_of(talk.answer())


def expect_10(server: Running) -> str:
    with conversation(server.port) as talk:
        talk.send(post("/late", b"hello", EXPECT, version="1.0")[:-5])
        if talk.asked_to_continue(1.0):
            return "sends 100"
        talk.send(b"hello")
        answer = talk.answer()
        return "ignored" if answer.content == b"hello" else status_of(answer)


def head_with_content(server: Running) -> str:
    """The application answers HEAD with content; the next response must not begin inside it."""
    with conversation(server.port) as talk:
        talk.send(request("/hello", method="HEAD"))
        answer = talk.answer("HEAD")
        length = "" if answer.field("content-length") == "12" else ", length not kept"
        return in_step(talk, answer) + length


def no_content_with_content(server: Running) -> str:
    with conversation(server.port) as talk:
        talk.send(request("/no-content"))
        answer = talk.answer()
        if answer.status != 204:
            return f"{status_of(answer)}, {follow(talk, answer)}"
        framing = [name for name in ("content-length", "transfer-encoding") if answer.field(name)]
        return in_step(talk, answer) + "".join(f", sends {name}" for name in framing)


def in_step(talk: Conversation, answer: Answer) -> str:
    talk.wait(0.2)
    if talk.receive(0.0) or talk.buffer:
        return "sends it"
    return f"removed, {follow(talk, answer)}"


def too_short(server: Running) -> str:
    """Five octets under a length of ten."""
    with conversation(server.port) as talk:
        talk.send(request("/short"))
        answer = talk.answer(seconds=2.0)
        if answer.whole:
            return f"{status_of(answer)}, {follow(talk, answer)}"
        return f"cut off by {talk.end}" if talk.end else "client is left waiting"


def too_long(server: Running) -> str:
    """Twenty-one octets under a length of five."""
    with conversation(server.port) as talk:
        talk.send(request("/long"))
        answer = talk.answer()
        talk.wait(0.2)
        talk.receive(0.0)
        if talk.buffer:
            return "surplus octets sent"
        if answer.status == 200 and not answer.whole:
            return f"cut off by {talk.end}"
        return f"{status_of(answer)}, {follow(talk, answer)}"


def fails_before(server: Running) -> str:
    with conversation(server.port) as talk:
        talk.send(request("/raise"))
        answer = talk.answer()
        return f"{status_of(answer)}, {follow(talk, answer)}"


def fails_within(server: Running) -> str:
    """An exception after the first part of chunked content."""
    with conversation(server.port) as talk:
        talk.send(request("/break"))
        answer = talk.answer(seconds=2.0)
        if answer.whole:
            return "passed off as whole" if answer.status == 200 else status_of(answer)
        return f"cut off by {talk.end}" if talk.end else "client is left waiting"


UNSEEN: Final = "413, client looks after having sent 1 MiB"
SOME_100: Final = "at once|when the application reads"
EARLY: Final = rf"413, ({IN_STEP}|stays open)(, upload cut off)?"
FAILED: Final = rf"500, ({IN_STEP})"
INSTEAD_OF_100: Final = rf"200, closes|100, 200, ({IN_STEP})"
LONG_ENDED: Final = rf"(200|500), ({IN_STEP}|closes unannounced)|{CUT_OFF}"
NO_204: Final = rf"(removed|500), ({IN_STEP}|closes unannounced)"

ROWS: Final = (
    *group(
        "Content that is left, refused, or awaited",
        Row("unread-small", "10 kB left unread, next request", unread_small, "9112 §9.3, §9.6", IN_STEP),
        Row(
            "unread-large",
            "1 MiB left unread, next request",
            steadily(unread_large),
            "9112 §9.3, §9.6",
            IN_STEP,
        ),
        Row(
            "early",
            "413 after 32 KiB of 8 MiB, client stops",
            steadily(early_response),
            "9112 §9.6",
            "413, (closes|stays open)",
        ),
        Row(
            "early-unseen",
            UNSEEN,
            early_response_unseen,
            "9112 §9.6",
            EARLY,
        ),
        Row("expect", "100 (Continue) is sent", expect_when, "9110 §10.1.1 MUST", SOME_100),
        Row(
            "expect-unread",
            "final response instead of 100",
            expect_unread,
            "9110 §10.1.1 SHOULD",
            INSTEAD_OF_100,
        ),
        Row("expect-unknown", "unknown expectation", expect_unknown, "9110 §10.1.1 MAY 417"),
        Row("expect10", "100-continue from HTTP/1.0", expect_10, "9110 §10.1.1 MUST", "ignored"),
    ),
    *group(
        "Applications that break their word",
        Row(
            "head",
            "content for HEAD",
            head_with_content,
            "9110 §9.3.2 MUST NOT",
            "removed, persists",
        ),
        Row("no-content", "content in a 204", no_content_with_content, "9110 §8.6 MUST NOT", NO_204),
        Row("too-short", "less content than announced", too_short, "9112 §8", rf"{CUT_OFF}|{FAILED}"),
        Row("too-long", "more content than announced", too_long, "9112 §6.3", LONG_ENDED),
        Row(
            "fails-before",
            "exception before the head",
            fails_before,
            "9112 §9.6 SHOULD",
            rf"500, ({IN_STEP})",
        ),
        Row("fails-within", "exception within chunked content", fails_within, "9112 §8", CUT_OFF),
    ),
)
