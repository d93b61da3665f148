"""What was said to one hop, and what crosses it: fields, nominations, Via, Host, the target."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bench.matrix.asking import Asking
from bench.matrix.cell import status_of
from bench.matrix.origin import Heard, Talk, answer, plain
from bench.matrix.row import OURS, Row, group
from bench.servers.raw import Answer

HOP_FIELDS: Final = ("Keep-Alive: timeout=77", "Proxy-Connection: keep-alive", "TE: deflate", "Upgrade: x/1")
RESPONSE_FIELDS: Final = ("Connection: X-Hop", "X-Hop: 1", *HOP_FIELDS[:2], HOP_FIELDS[3])


def listed(words: list[str]) -> str:
    return ", ".join(words) or "none"


def heard_once(asking: Asking, octets: bytes, tell: Callable[[Heard], str]) -> str:
    """What the origin heard of a request, or how the proxy answered in its place."""
    answered = asking.once(octets)
    heard = asking.heard()
    return tell(heard[0]) if heard else f"{status_of(answered)}"


def nominated(asking: Asking) -> str:
    lines = ("Connection: close, x-hop", "X-Hop: 1", "Connection: X-Second", "X-Second: 2")
    return heard_once(
        asking,
        asking.request(1, *lines),
        lambda heard: "leaks" if heard.lines("x-hop") or heard.lines("x-second") else "gone",
    )


def hop_fields(asking: Asking) -> str:
    def tell(heard: Heard) -> str:
        names = [line.partition(":")[0] for line in HOP_FIELDS]
        values = [line.partition(": ")[2] for line in HOP_FIELDS]
        said = [f"{name}" for name, value in zip(names, values, strict=True) if value in heard.field(name)]
        return listed(said)

    return heard_once(asking, asking.request(1, *HOP_FIELDS), tell)


def leaked_to_client(answered: Answer) -> str:
    said = [("x-hop", "1"), ("keep-alive", "77"), ("proxy-connection", "keep-alive"), ("upgrade", "x/1")]
    return listed([name for name, value in said if value in answered.field(name)])


def response_fields(asking: Asking) -> str:
    return leaked_to_client(asking.once(asking.request()))


def says_hop_fields(talk: Talk) -> None:
    talk.serve(*RESPONSE_FIELDS)


def interim_fields(asking: Asking) -> str:
    with asking.talk() as talk:
        talk.send(asking.request(1, "Connection: close"))
        interim = talk.ending(3.0).octets.partition(b"\r\n\r\n")[0].lower()
    if not interim.startswith(b"http/1.1 103"):
        return "no 103"
    return "leaks" if b"x-hop" in interim or b"timeout=77" in interim else "gone"


def says_interim(talk: Talk) -> None:
    while (heard := talk.request()) is not None:
        early = plain(b"", "Link: </a>", *RESPONSE_FIELDS[:3], status="103 Early Hints")
        talk.say(early + answer(heard))


def nominates(name: str, value: str) -> Callable[[Asking], str]:
    """What becomes of a field that all recipients need, if the client's Connection names it."""

    def probe(asking: Asking) -> str:
        line = [] if name == "Host" else [f"{name}: {value}"]
        content = b"hello" if name == "Content-Length" else b""
        octets = asking.request(1, f"Connection: {name}", *line, content=content)

        def tell(heard: Heard) -> str:
            got = heard.field(name)
            if not got:
                chunked = name == "Content-Length" and heard.content == b"hello"
                return "re-framed" if chunked else "removed"
            return "kept" if value in got or name == "Host" else "replaced"

        return heard_once(asking, octets, tell)

    return probe


def nominated_coding(asking: Asking) -> str:
    """Connection: Transfer-Encoding with chunked content: how is it framed behind the proxy?"""
    lines = ("Connection: Transfer-Encoding", "Transfer-Encoding: chunked")
    octets = asking.request(1, *lines, method="POST", content=b"5\r\nhello\r\n0\r\n\r\n")
    return heard_once(
        asking, octets, lambda heard: "kept" if heard.content == b"hello" else "content lost its frame"
    )


def many_options(asking: Asking) -> str:
    names = [f"X-{number}" for number in range(200)]
    octets = asking.request(1, f"Connection: {', '.join(names)}", *(f"{name}: 1" for name in names[:50]))
    return heard_once(
        asking, octets, lambda heard: "leaks" if any(heard.lines(name) for name in names) else "gone"
    )


def forwarded_for(asking: Asking) -> str:
    """A client that says it is somebody else, and names the field in Connection too."""
    octets = asking.request(1, "Connection: X-Forwarded-For", "X-Forwarded-For: 9.9.9.9")
    return heard_once(asking, octets, lambda heard: heard.field("x-forwarded-for") or "removed")


def via(asking: Asking) -> str:
    answered = asking.once(asking.request(1, "Via: 1.0 before"))
    heard = asking.heard()
    if not heard:
        return status_of(answered)
    names = heard[0].field("via").split(", ")
    request = "yes" if len(names) == 2 and names[0] == "1.0 before" else "no"
    return f"request {request}, response {'yes' if answered.field('via') else 'no'}"


def same_target(asking: Asking) -> str:
    """Every octet of path and query that a URI may have."""
    tail = "a//b/./c/../d%2Fe%7e;p=1/?q=%20+%41&r='*,:@/?"
    octets = asking.request(f"1/{tail}")
    answered = asking.once(octets)
    heard = [one for one in asking.origin.heard if f"/{asking.name}/1" in one.target]
    if not heard:
        return status_of(answered)
    return "octet for octet" if heard[0].path == asking.path(f"1/{tail}") else "changed"


def absolute_form(asking: Asking) -> str:
    """Absolute-form whose authority is not what Host says."""
    octets = asking.request(target=f"http://{asking.authority}{asking.path()}", host="other.example")

    def tell(heard: Heard) -> str:
        host = heard.field("host")
        same = host.partition(":")[0] == asking.authority.partition(":")[0]
        return "Host follows the target" if same else f"Host: {host}"

    return heard_once(asking, octets, tell)


def max_forwards(asking: Asking) -> str:
    """OPTIONS that may go no further."""
    answered = asking.once(asking.request(1, "Max-Forwards: 0", method="OPTIONS"), "OPTIONS")
    return f"{'forwarded' if asking.heard() else 'not forwarded'}, {status_of(answered)}"


def own_version(asking: Asking) -> str:
    """What version an HTTP/1.0 request has behind the proxy, and an HTTP/1.0 response before it."""
    answered = asking.once(asking.request(1, version="1.0"))
    heard = asking.heard()
    return f"{heard[0].head.split()[2] if heard else status_of(answered)}"


def unknown_field(asking: Asking) -> str:
    octets = asking.request(1, "X-Unknown: a", "x-unknown: b", "X-Empty:", method="PURGE")

    def tell(heard: Heard) -> str:
        fields = heard.lines("x-unknown") == ["a", "b"] and heard.lines("x-empty") == [""]
        same = "fields in order" if fields else "fields changed"
        return f"{heard.method}, {same}"

    return heard_once(asking, octets, tell)


KEPT: Final = "4..|kept|re-framed"
ROWS: Final = group(
    "What crosses a hop",
    Row("nominated", "request field named in `Connection`", nominated, "gone", "9110 §7.6.1 MUST"),
    Row(
        "hop-fields",
        "`Keep-Alive`, `Proxy-Connection`, `TE`, `Upgrade` not named in it reach the origin",
        hop_fields,
        "none|400",
        "9110 §7.6.1 SHOULD",
    ),
    Row(
        "response-fields",
        "response: named field, `Keep-Alive`, `Proxy-Connection`, `Upgrade` reach the client",
        response_fields,
        "none",
        "9110 §7.6.1 MUST",
        scripts=(says_hop_fields,),
    ),
    Row(
        "interim-fields",
        "103: named field, `Keep-Alive`",
        interim_fields,
        "gone|no 103",
        "9110 §7.6.1 MUST",
        scripts=(says_interim,),
    ),
    Row("nominate-host", "`Connection: Host`", nominates("Host", ""), "400|kept", "9112 §3.2 MUST"),
    Row(
        "nominate-length",
        "`Connection: Content-Length`",
        nominates("Content-Length", "5"),
        KEPT,
        "9112 §6.3",
    ),
    Row("nominate-coding", "`Connection: Transfer-Encoding`", nominated_coding, "400|kept", "9112 §6.3"),
    Row(
        "nominate-cookie",
        "`Connection: Cookie`",
        nominates("Cookie", "a=1"),
        "400|removed",
        "9110 §7.6.1 MUST",
    ),
    Row(
        "nominate-forwarded",
        "`Connection: X-Forwarded-For`, with a false one",
        forwarded_for,
        r"400|.*127\.0\.0\.1",
        OURS,
    ),
    Row("many-options", "200 options in `Connection`", many_options, "400|431|gone", "9110 §7.6.1 MUST"),
    Row(
        "via",
        "`Via` is added",
        via,
        "request yes, response (yes|no)",
        "9110 §7.6.3 MUST",
        wanted_forward="request yes, response yes",
    ),
    Row("target", "path and query", same_target, "octet for octet|400", "ours; 9110 §7.7 (a proxy MUST NOT)"),
    Row(
        "absolute-form",
        "absolute-form, another `Host`",
        absolute_form,
        "Host follows the target|400",
        "9112 §3.2.2 MUST",
    ),
    Row(
        "max-forwards",
        "OPTIONS with `Max-Forwards: 0`",
        max_forwards,
        "not forwarded, .*",
        "9110 §7.6.2 MUST",
    ),
    Row(
        "version", "version of a request from an HTTP/1.0 client", own_version, r"HTTP/1\.1", "9110 §2.5 MUST"
    ),
    Row("unknown", "unknown method and fields", unknown_field, "PURGE, fields in order", "9110 §7.7"),
)
