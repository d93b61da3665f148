"""HTTP/1.0 on either side, and whose affair a close is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from bench.matrix.asking import SETTLE_SECONDS, Asking
from bench.matrix.cell import end_of, follow, own_answer, place_of, reuse, status_of
from bench.matrix.origin import Talk, answer, plain
from bench.matrix.row import FRESH, OURS, Row, group

CHUNKED: Final = "Transfer-Encoding: chunked"


def old_client(*lines: str) -> Callable[[Asking], str]:
    """An HTTP/1.0 client that says this; what it is told, and whether its connection stays open."""

    def probe(asking: Asking) -> str:
        with asking.talk() as talk:
            talk.send(asking.request(1, *lines, version="1.0"))
            answered = talk.answer()
            said = "says keep-alive, " if "keep-alive" in answered.options else ""
            if not answered.status:
                return "no answer"
            ending = end_of(talk)
        return f"{said}{ending}" if answered.status == 200 else f"{status_of(answered)}, {ending}"

    return probe


def chunked_for_old(asking: Asking) -> str:
    """A chunked response for an HTTP/1.0 client that wants its connection to persist."""
    with asking.talk() as talk:
        talk.send(asking.request(1, "Connection: keep-alive", version="1.0"))
        answered = talk.answer()
        right = answered.content == asking.path().encode()
        how = {"length": "length", "chunked": "chunked", "close": "ends with the connection"}
        words = how.get(answered.delimited, answered.delimited) if answered.whole else "not whole"
        if answered.delimited == "length":
            words += f", {follow(asking, talk)}"
    return words if right or answered.delimited == "chunked" else f"{words}, content lost"


def says_chunks(talk: Talk) -> None:
    while (heard := talk.request()) is not None:
        path = heard.path.encode()
        talk.say(plain(b"%x\r\n%b\r\n0\r\n\r\n" % (len(path), path), CHUNKED))


def chunked_for_plain_old(asking: Asking) -> str:
    """The same without a wish to persist."""
    answered = asking.once(asking.request(1, version="1.0"))
    right = answered.content == asking.path().encode() and answered.whole
    return f"{answered.delimited}, {'whole' if right else 'not whole'}"


def old_upload(asking: Asking) -> str:
    """Chunked content for an origin that speaks HTTP/1.0: it must not get chunks."""
    asking.once(asking.request(1))
    time.sleep(SETTLE_SECONDS)
    chunks = b"5\r\nhello\r\n0\r\n\r\n"
    answered = asking.once(asking.request(2, CHUNKED, method="POST", content=chunks))
    heard = asking.heard(2)
    if not heard:
        return status_of(answered)
    how = "chunks" if heard[0].field("transfer-encoding") else "length"
    return f"{how}, {own_answer(asking, answered, 2)}"


def old_origin(*fields: str) -> Callable[[Talk], None]:
    """An HTTP/1.0 origin that says this and leaves its connection open."""

    def script(talk: Talk) -> None:
        while (heard := talk.request()) is not None:
            talk.say(answer(heard, *fields, version="1.0"))

    return script


def old_chunks(talk: Talk) -> None:
    """HTTP/1.0 with a transfer coding, which that version does not have."""
    while (heard := talk.request()) is not None:
        path = heard.path.encode()
        chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(path), path)
        talk.say(plain(chunks, CHUNKED, "Connection: keep-alive", version="1.0"))


def says_close(talk: Talk) -> None:
    """Announce the close and leave the connection open."""
    heard = talk.request()
    if heard is not None:
        talk.say(answer(heard, "Connection: close"))
        talk.serve()


def closes_each(talk: Talk) -> None:
    """Announce the close, and close."""
    heard = talk.request()
    if heard is not None:
        talk.say(answer(heard, "Connection: close"))


def own_hop(asking: Asking) -> str:
    """The origin closes after each response: does the client's connection go on?"""
    with asking.talk() as talk:
        talk.send(asking.request(1))
        first = talk.answer()
        if first.says_close:
            return f"client told to close, {end_of(talk)}"
        time.sleep(SETTLE_SECONDS)
        return follow(asking, talk, 2)


def client_close(asking: Asking) -> str:
    """The client closes after each response: does the connection to the origin go on?"""
    for number in (1, 2):
        with asking.talk() as talk:
            talk.send(asking.request(number, "Connection: close"))
            answered = talk.answer()
            if answered.status != 200:
                return status_of(answered)
            talk.ending(1.0)
        time.sleep(SETTLE_SECONDS)
    return place_of(asking.heard(2))


def unknown_length(asking: Asking) -> str:
    """Content that ends with the origin's connection, for a client that speaks HTTP/1.1."""
    with asking.talk() as talk:
        talk.send(asking.request())
        answered = talk.answer()
        if not answered.whole or answered.content != asking.path().encode():
            return "not whole"
        if answered.delimited == "close":
            return "ends with the connection"
        return f"{answered.delimited}, {follow(asking, talk)}"


def ends_content(talk: Talk) -> None:
    heard = talk.request()
    if heard is not None:
        talk.say(plain(heard.path.encode(), "Connection: close"))


KEPT: Final = "says keep-alive, stays open"
ROWS: Final = group(
    "HTTP/1.0, and each hop for itself",
    Row("old-plain", "HTTP/1.0 client without an option", old_client(), "closes", "9112 §9.3"),
    Row(
        "old-keep-alive",
        "HTTP/1.0 client with `Connection: keep-alive`",
        old_client("Connection: keep-alive"),
        KEPT,
        OURS,
        wanted_forward="closes",
    ),
    Row(
        "old-proxy-connection",
        "HTTP/1.0 client with `Proxy-Connection: keep-alive`",
        old_client("Proxy-Connection: keep-alive"),
        "closes",
        "9112 §9.3, C.2.2",
    ),
    Row(
        "old-chunked",
        "HTTP/1.0 client that wants to persist, chunked response",
        chunked_for_old,
        "length, persists",
        OURS,
        wanted_forward="length, (persists|closes)|ends with the connection",
        scripts=(says_chunks,) * 2,
    ),
    Row(
        "old-unchunked",
        "HTTP/1.0 client, chunked response",
        chunked_for_plain_old,
        "(length|close), whole",
        "9112 §6.1 MUST NOT",
        scripts=(says_chunks,),
    ),
    Row(
        "old-upload",
        "chunked content for an HTTP/1.0 origin",
        old_upload,
        "length, 200|411",
        "ours; 9112 §6.1",
        scripts=(old_origin("Connection: keep-alive"),) * 3,
    ),
    Row(
        "old-origin",
        "HTTP/1.0 origin with keep-alive: next request",
        reuse,
        "200, reused",
        OURS,
        scripts=(old_origin("Connection: keep-alive"),) * 2,
    ),
    Row(
        "old-origin-plain",
        "HTTP/1.0 origin without it, connection left open: next request",
        reuse,
        FRESH,
        "9112 §9.3",
        scripts=(old_origin(),) * 2,
    ),
    Row(
        "old-origin-chunked",
        "HTTP/1.0 origin that sends chunks: next request",
        reuse,
        ".*fresh",
        "9112 §6.1 MUST close",
        scripts=(old_chunks, old_chunks),
    ),
    Row(
        "origin-says-close",
        "origin says `close` and stays open: next request",
        reuse,
        FRESH,
        "9112 §9.6 MUST NOT",
        scripts=(says_close,),
    ),
    Row(
        "origin-closes",
        "origin closes after a response: the client's connection",
        own_hop,
        "persists",
        OURS,
        scripts=(closes_each, closes_each),
    ),
    Row(
        "client-closes",
        "client closes after a response: next request of another client",
        client_close,
        "reused",
        OURS,
        alone=True,
    ),
    Row(
        "until-close",
        "content that ends with the origin's connection",
        unknown_length,
        "chunked, persists",
        OURS,
        scripts=(ends_content,),
    ),
)
