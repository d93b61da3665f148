"""An origin that breaks its word: surplus octets, wrong lengths, codings, and what is no HTTP."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Final

from bench.matrix.asking import SETTLE_SECONDS, Asking
from bench.matrix.cell import FLOOD_SECONDS, answer_first, own_answer, place_of, reuse_by_another, status_of
from bench.matrix.origin import Script, Talk, answer, plain
from bench.matrix.row import FAILED, FRESH, OURS, Row, group

EVIL: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"


FINAL: Final = re.compile(rb"(?:^|\r\n\r\n)HTTP/1\.[01] ([2-5][0-9][0-9])")


def says(octets: bytes, ends: bool = False) -> Script:
    """Say this in place of an answer; then end, or serve on."""

    def script(talk: Talk) -> None:
        if talk.request() is None:
            return
        talk.say(octets)
        if not ends:
            talk.serve()

    return script


def surplus(more: bytes) -> Script:
    """Answer, and say more octets in the same segment."""

    def script(talk: Talk) -> None:
        answer_first(talk, more=more)
        talk.serve()

    return script


def same_client(asking: Asking) -> str:
    """Two GETs on one client connection; what the second got."""
    with asking.talk() as talk:
        talk.send(asking.request(1))
        talk.answer()
        time.sleep(SETTLE_SECONDS)
        talk.send(asking.request(2))
        second = talk.answer(seconds=3.0)
        if not second.status and talk.end:
            return "closes"
    return f"{own_answer(asking, second, 2)}, {place_of(asking.heard(2))}"


def answered(asking: Asking) -> str:
    """What a client gets: the status, and whether the content is whole, cut off or told as whole."""
    with asking.talk() as talk:
        talk.send(asking.request(1, "TE: trailers", "Connection: TE"))
        try:
            got = talk.answer()
        except ValueError:  # a chunk size that is none has come through
            return "200, passed on"
    if got.status != 200:
        return status_of(got)
    if not got.whole:
        return "200, cut off"
    return "200, whole" if got.content == b"hello" else f"200, {len(got.content)} octets told as whole"


def two_lengths(asking: Asking) -> str:
    """The status, and which framing reached the client."""
    with asking.talk() as talk:
        talk.send(asking.request())
        got = talk.answer()
    if got.status != 200:
        return status_of(got)
    both = bool(got.field("transfer-encoding") and got.field("content-length"))
    lengths = got.field("content-length")
    return f"200, {'both forwarded' if both else lengths if ',' in lengths else got.delimited}"


def field_seen(name: str) -> Callable[[Asking], str]:
    """What a client sees of a field that was badly written."""

    def probe(asking: Asking) -> str:
        with asking.talk() as talk:
            talk.send(asking.request())
            head = b""
            deadline = time.monotonic() + 3.0
            while b"\r\n\r\n" not in talk.buffer and talk.receive(deadline):
                pass
            head = bytes(talk.buffer).partition(b"\r\n\r\n")[0]
        status = head[9:12].decode("latin-1") or "no answer"
        lines = [line for line in head.split(b"\r\n") if line.lower().startswith(name.encode())]
        if status != "200":
            return status
        if b"\r\n " in head or b"\r\n\t" in head or b"\n " in head:
            return "200, passed on"
        if not lines:
            return "200, removed"
        return "200, passed on" if b" :" in lines[0] or b"\x00" in lines[0] else "200, mended"

    return probe


def no_content(method: str, asking: Asking) -> str:
    """A response without content, and then the next one on both connections."""
    with asking.talk() as talk:
        talk.send(asking.request(1, method=method))
        first = talk.answer(method)
        time.sleep(SETTLE_SECONDS)
        talk.send(asking.request(2))
        second = talk.answer(seconds=3.0)
    return f"{status_of(first)}; then {own_answer(asking, second, 2)}"


def flood_of_interims(talk: Talk) -> None:
    """1xx responses for as long as they are taken."""
    if talk.request() is None:
        return
    piece = b"HTTP/1.1 102 Processing\r\n\r\n" * 1000
    deadline = time.monotonic() + FLOOD_SECONDS
    while time.monotonic() < deadline:
        talk.say(piece)


def flooded(octets: str) -> Callable[[Asking], str]:
    """Whether a head without end is stopped before its flood is over."""

    def probe(asking: Asking) -> str:
        deadline = time.monotonic() + FLOOD_SECONDS - 1
        with asking.talk() as talk:
            talk.send(asking.request())
            while time.monotonic() < deadline and talk.receive(deadline):
                if final := FINAL.search(talk.buffer):
                    return f"stops it, {final[1].decode()}"
                del talk.buffer[:-64]
            return "stops it, closes" if talk.end else f"takes {octets} without end"

    return probe


def head_without_end(talk: Talk) -> None:
    if talk.request() is None:
        return
    talk.say(b"HTTP/1.1 200 OK\r\n")
    deadline = time.monotonic() + FLOOD_SECONDS
    while time.monotonic() < deadline:
        talk.say(b"X-Field: 0123456789\r\n" * 1000)


def head_answer(talk: Talk) -> None:
    """A HEAD's answer tells the length of what it does not send."""
    while (heard := talk.request()) is not None:
        length = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
        talk.say(length if heard.method == "HEAD" else answer(heard))


def head_with_content(talk: Talk) -> None:
    """A HEAD's answer with content, which is nobody's."""
    if talk.request() is not None:
        talk.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(EVIL), EVIL))
        talk.serve()


HELLO: Final = b"5\r\nhello\r\n0\r\n\r\n"
CHUNKED: Final = "Transfer-Encoding: chunked"
CUT_OFF: Final = rf"200, cut off|{FAILED}"
MENDED: Final = rf"{FAILED}|200, (mended|removed)"
ROWS: Final = (
    *group(
        "An origin that says more, or less, than it should",
        Row(
            "surplus",
            "a second response behind the first: next request",
            reuse_by_another,
            FRESH,
            "9112 §6.3, §9.2 SHOULD",
            scripts=(surplus(EVIL),),
        ),
        Row(
            "surplus-same", "the same, same client", same_client, FRESH, "9112 §6.3", scripts=(surplus(EVIL),)
        ),
        Row(
            "surplus-garbage",
            "octets behind a response: next request",
            reuse_by_another,
            FRESH,
            "9112 §6.3, §9.2 SHOULD",
            scripts=(surplus(b"garbage"),),
        ),
        Row(
            "short",
            "less content than its length, FIN",
            answered,
            CUT_OFF,
            "9112 §8 MUST",
            scripts=(says(plain(b"hel", "Content-Length: 5"), ends=True),),
        ),
        Row(
            "chunks-end",
            "chunks without the last one, FIN",
            answered,
            CUT_OFF,
            "9112 §8 MUST",
            scripts=(says(plain(b"5\r\nhello\r\n", CHUNKED), ends=True),),
        ),
        Row(
            "bad-chunk",
            "a chunk size that is none",
            answered,
            CUT_OFF,
            "9112 §7.1",
            scripts=(says(plain(b"5\r\nhello\r\nxyz\r\n", CHUNKED), ends=True),),
        ),
        Row(
            "head",
            "HEAD whose answer tells a length",
            lambda asking: no_content("HEAD", asking),
            "200; then 200",
            "9112 §6.3",
            scripts=(head_answer, head_answer),
        ),
        Row(
            "head-content",
            "HEAD answered with content that looks like a response",
            lambda asking: no_content("HEAD", asking),
            r"(200|50\d); then 200",
            "9112 §6.3",
            scripts=(head_with_content,),
        ),
        Row(
            "no-content",
            "204 with content",
            lambda asking: no_content("GET", asking),
            r"(204|50\d); then 200",
            "9112 §6.3",
            scripts=(says(plain(EVIL, f"Content-Length: {len(EVIL)}", status="204 No Content")),),
        ),
    ),
    *group(
        "Responses that can be read in two ways",
        Row(
            "lengths",
            "two different lengths",
            two_lengths,
            FAILED,
            "9112 §6.3 MUST",
            scripts=(says(plain(b"hello", "Content-Length: 5", "Content-Length: 3")),),
        ),
        Row(
            "length-word",
            "`Content-Length: +5`",
            two_lengths,
            "502",
            "9112 §6.3 MUST",
            scripts=(says(plain(b"hello", "Content-Length: +5")),),
        ),
        Row(
            "length-and-chunks",
            "`Content-Length` and chunked",
            two_lengths,
            rf"{FAILED}|200, chunked",
            "9112 §6.3 MUST",
            scripts=(says(plain(HELLO, "Content-Length: 3", CHUNKED)),),
        ),
        Row(
            "coding",
            "`Transfer-Encoding: gzip, chunked` unasked",
            two_lengths,
            FAILED,
            "9112 §7.4",
            scripts=(says(plain(HELLO, "Transfer-Encoding: gzip, chunked")),),
        ),
        Row(
            "folded-response",
            "a folded field line",
            field_seen("x-folded"),
            MENDED,
            "9112 §5.2 MUST",
            scripts=(says(plain(b"hello", "X-Folded: a", " b", "Content-Length: 5")),),
        ),
        Row(
            "colon",
            "space before a colon",
            field_seen("x-space"),
            MENDED,
            "9112 §5.1 MUST",
            scripts=(says(plain(b"hello", "X-Space : a", "Content-Length: 5")),),
        ),
        Row(
            "nul",
            "NUL in a field value",
            field_seen("x-nul"),
            MENDED,
            "9110 §5.5 MUST",
            scripts=(says(plain(b"hello", "X-Nul: a\0b", "Content-Length: 5")),),
        ),
        Row(
            "garbage",
            "octets that are no HTTP",
            answered,
            "502",
            "9110 §15.6.3",
            scripts=(says(b"garbage\r\n\r\n", ends=True),),
        ),
        Row(
            "unasked-101",
            "101 that nobody asked for",
            answered,
            FAILED,
            "9110 §7.8 MUST NOT",
            scripts=(
                says(
                    plain(b"", "Connection: Upgrade", "Upgrade: websocket", status="101 Switching Protocols")
                ),
            ),
        ),
        Row(
            "interims",
            "1xx responses without end",
            flooded("them"),
            "stops it, .*",
            OURS,
            scripts=(flood_of_interims,),
        ),
        Row(
            "endless-head",
            "a head without end",
            flooded("it"),
            "stops it, .*",
            OURS,
            scripts=(head_without_end,),
        ),
    ),
)
