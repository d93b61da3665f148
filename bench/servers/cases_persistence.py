"""Does it persist, does it say so, and does what it said hold? RFC 9112 §9.3, §9.6, appendix C.2.2."""

from __future__ import annotations

import contextlib
import re
from typing import Final

from bench.servers.cell import NEXT, close_of, is_seven, listed, request, status_of
from bench.servers.raw import Answer, Conversation, conversation
from bench.servers.row import Row, group
from bench.servers.subjects import DEFAULT, FEW, FEW_CONNECTIONS, FEW_REQUESTS, SHORT, Running

MANY: Final = 1100
"""Requests on one connection before a server is said to have no limit."""

CLOSES: Final = {
    "`close`": ("Connection: close",),
    "`Close`": ("Connection: Close",),
    "`keep-alive, close`": ("Connection: keep-alive, close",),
    "two lines": ("Connection: keep-alive", "Connection: close"),
}


def http_10_plain(server: Running) -> str:
    with conversation(server.port) as talk:
        talk.send(request("/hello", version="1.0"))
        answer = talk.answer()
        return close_of(talk, answer.says_close)


def http_10_keep_alive(server: Running) -> str:
    """Both spellings are in use; browsers of the time wrote Keep-Alive."""
    found = {spelling: _http_10_with(server, spelling) for spelling in ("keep-alive", "Keep-Alive")}
    if len(set(found.values())) == 1:
        return found["keep-alive"]
    return "; ".join(f"{spelling}: {words}" for spelling, words in found.items())


def _http_10_with(server: Running, option: str) -> str:
    with conversation(server.port) as talk:
        talk.send(request("/hello", f"Connection: {option}", version="1.0"))
        answer = talk.answer()
        echoed = "keep-alive" in answer.options
        if talk.end or answer.says_close or not talk.send(request("/number/7", version="1.0")):
            return "closes"
        if not is_seven(talk.answer(seconds=2.0)):
            return "echoed, but closes" if echoed else "closes"
        return "persists, echoed" if echoed else "persists, not echoed"


def http_10_stream(server: Running) -> str:
    with conversation(server.port) as talk:
        talk.send(request("/stream", "Connection: keep-alive", version="1.0"))
        answer = talk.answer()
        if answer.delimited == "chunked":
            return "chunked"
        whole = answer.content == b"one,two,three"
        if answer.delimited == "length":
            return "length" if whole else "wrong length"
        if "keep-alive" in answer.options:
            return "promises keep-alive, then ends with the connection"
        return "ends with the connection" if whole else f"not whole: {answer.content!r}"


def hint_11(server: Running) -> str:
    with conversation(server.port) as talk:
        talk.send(request("/hello"))
        return talk.answer().field("keep-alive") or "none"


def hint_10(server: Running) -> str:
    with conversation(server.port) as talk:
        talk.send(request("/hello", "Connection: Keep-Alive", version="1.0"))
        return talk.answer().field("keep-alive") or "none"


def hint_kept(server: Running) -> str:
    """Advertised against measured; a 1.0 client is asked for where a 1.1 client is told nothing."""
    for version in ("1.1", "1.0"):
        with conversation(server.port) as talk:
            talk.send(request("/hello", "Connection: Keep-Alive", version=version))
            hint = re.search(r"timeout=(\d+)", talk.answer().field("keep-alive"))
            if hint is None:
                continue
            promised = int(hint[1])
            ending = talk.ending(promised + 4)
            if not ending.closed:
                return f"promised {promised}, kept over 4 s longer"
            return f"promised {promised}, kept {ending.seconds - promised:+.1f} s"
    return "no hint"


def max_requests(server: Running) -> str:
    allowed = FEW + 2 if server.subject.can(FEW_REQUESTS) else MANY
    with conversation(server.port) as talk:
        for number in range(1, allowed + 1):
            talk.send(request("/hello"))
            answer = talk.answer()
            if answer.says_close:
                return f"request {number} announces it, {close_of(talk, said=True)}"
            if not answer.status:
                return f"closes unannounced after {number - 1}"
    return f"no limit ({MANY} answered)"


def close_options(server: Running) -> str:
    """Every spelling of close, and one option that is not close."""
    ignored = [name for name, lines in CLOSES.items() if not _ends(server, *lines)]
    over = " (and by something-close)" if _ends(server, "Connection: something-close") else ""
    if not ignored:
        return f"all {len(CLOSES)} honoured{over}"
    return f"ignored: {listed(ignored)}{over}"


def _ends(server: Running, *lines: str) -> bool:
    with conversation(server.port) as talk:
        talk.send(request("/hello", *lines))
        talk.answer()
        return talk.ending(0.5).closed


def close_announced(server: Running) -> str:
    with conversation(server.port) as talk:
        talk.send(request("/hello", "Connection: close"))
        return "yes" if talk.answer().says_close else "no"


def close_on_error(server: Running) -> str:
    """A request without sense is answered, and the connection closed: was that said?"""
    with conversation(server.port) as talk:
        talk.send(b"nonsense\r\n\r\n")
        answer = talk.answer()
        if not answer.status:
            return "no answer"
        if answer.says_close:
            return "yes"
        return "no" if talk.ending(0.8).closed else "stays open"


def after_close(server: Running) -> str:
    """Whatever follows a close option is not to be processed."""
    with conversation(server.port) as talk:
        talk.send(request("/hello", "Connection: close") + NEXT)
        first = talk.answer()
        if first.status != 200:
            return f"neither is answered: {status_of(first)}"
        return "answered" if is_seven(talk.answer(seconds=1.0)) else "not answered"


def half_closed(server: Running) -> str:
    with conversation(server.port) as talk:
        talk.send(request("/sleep/0.4"))
        talk.finish_sending()
        return "answered" if talk.answer(seconds=2.0).whole else "not answered"


def connections_over_cap(server: Running) -> str:
    """Idle connections up to a cap, then eight more; without a setting, two hundred."""
    capped = server.profile != DEFAULT
    count = 40 if capped else 200
    with contextlib.ExitStack() as stack:
        talks = []
        for number in range(1, count + 1):
            talks.append(stack.enter_context(conversation(server.port)))
            talks[-1].send(request("/hello"))
            answer = talks[-1].answer(seconds=1.0)
            if answer.status != 200:
                return f"connection {number}: {refusal(talks[-1], answer)}"
        gone = [talk.ending(0.0).closed for talk in talks]
    if not capped:
        return "no cap (200 held)" if not any(gone) else f"{sum(gone)} of 200 closed"
    if not any(gone):
        return "none closed, all served"
    if gone[0] and not gone[-1]:
        return "oldest idle ones closed, all served"
    return f"all served, {sum(gone)} of {count} closed"


def refusal(talk: Conversation, answer: Answer) -> str:
    if answer.status:
        return status_of(answer)
    return f"{talk.end} instead of an answer" if talk.end else "waits"


OPTIONS_OF_CLOSE: Final = "`close`, `Close`, `keep-alive, close`, two lines"
LAST_REQUEST: Final = "last request of a connection (limit 3 where there is a setting)"
CAPPED: Final = "idle connections above a cap (32 where there is a setting)"
STREAM: Final = "HTTP/1.0 with keep-alive, content without a length"
PERSISTS_10: Final = "persists, echoed|closes"
STREAMED: Final = "length|ends with the connection"
KEPT: Final = r"no hint|promised \d+, kept \+.*"
LAST_ANNOUNCED: Final = r"request \d+ announces it, closes|no limit .*"

ROWS: Final = group(
    "Persistence, and what is said about it",
    Row("http10", "HTTP/1.0 without an option", http_10_plain, "9112 §9.3", "closes( unannounced)?"),
    Row(
        "http10-keep-alive",
        "HTTP/1.0 with keep-alive",
        http_10_keep_alive,
        "9112 C.2.2",
        "persists, echoed|closes",
    ),
    Row("http10-stream", STREAM, http_10_stream, "9112 §6.1 MUST NOT chunk; 2068 §19.7.1", STREAMED),
    Row("hint", "`Keep-Alive` hint to HTTP/1.1", hint_11, profile=SHORT),
    Row("hint10", "`Keep-Alive` hint to HTTP/1.0", hint_10, profile=SHORT),
    Row("hint-kept", "hint against what happened", hint_kept, "its own promise", KEPT, SHORT),
    Row("close-options", OPTIONS_OF_CLOSE, close_options, "9112 §9.6 MUST", "all 4 honoured.*"),
    Row("close-announced", "a close asked for is announced back", close_announced, "9112 §9.6 SHOULD", "yes"),
    Row(
        "close-on-error",
        "a close after an error is announced",
        close_on_error,
        "9112 §9.6 SHOULD",
        "yes|stays open",
    ),
    Row(
        "after-close", "a request behind one with `close`", after_close, "9112 §9.6 MUST NOT", "not answered"
    ),
    Row("max-requests", LAST_REQUEST, max_requests, "9112 §9.6 SHOULD", LAST_ANNOUNCED, FEW_REQUESTS),
    Row("half-closed", "client has closed its side and waits", half_closed, "9112 §9.6", "answered"),
    Row("cap", CAPPED, connections_over_cap, profile=FEW_CONNECTIONS, alone=True),
)
