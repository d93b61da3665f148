"""What crosses an intermediary, and how it is changed on the way.

The order is always **strip → user hook → add**, on requests, responses and trailers: what a client
nominates in `Connection` is gone before anything of ours is added, so it can never remove what we
add (Go #50580, #81319). A nomination of a field that frames, routes or authenticates is refused.

What is end to end crosses octet for octet: path and query are never normalised, unknown fields
pass, lines of the same name keep their order. What concerns one hop is decided by each hop's own
connection: version, framing and persistence are never copied from one side to the other.

RFC 9110 §7.6 (forwarding), RFC 9112 §3.2.2 (absolute-form).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import lru_cache
from typing import Final, Literal

from perdure.core import (
    HTTP_11,
    FieldLine,
    Interim,
    LocalViolation,
    Reason,
    RemoteViolation,
    Request,
    Response,
    make_line,
)
from perdure.core.fields import EXPECT, HOST, ORDINARY, UPGRADE, Facts, gather, split_list
from perdure.core.heads import authority, origin_form
from perdure.core.hopbyhop import strip, strip_trailers
from perdure.core.writer import block
from perdure.intermediary.client_hop import ClientHop, Spoken, is_said_of_hops, say_client
from perdure.intermediary.failures import ORIGIN
from perdure.intermediary.proxy_status import Said, status_line
from perdure.server.proxied import Senders
from perdure.wire.clock import http_date, wall_clock

MOST_PASSES: Final = 8
"""A request that came through so many of our name is in a loop, even if the marks were removed."""
TRAILERS_WANTED: Final = make_line(b"TE", b"trailers")
LOOKED_AT: Final = frozenset([b"via", b"authorization", b"proxy-authorization"])
PRIVATE: Final = frozenset([b"authorization", b"cookie", b"proxy-authorization"])
"""Not reflected by TRACE (RFC 9110 §9.3.8)."""
NOBODY: Final = Senders(())

RequestHook = Callable[[Request], "Response | None"]
ResponseHook = Callable[[Response], None]


class Forwarding:
    """The rules of one intermediary; the same for all of its connections.

    Attributes:
        pseudonym: our name in Via.
        mark: tells this process from others of the same name, in the comment of our Via member.
        host: "keep" forwards the client's Host, "origin" replaces it by the origin's authority.
        forwarded: "replace" says of the client what `spoken` names, and removes what it said itself;
            "append" adds ours to the client's, as is done for a trusted one; "leave" does neither.
        spoken: X-Forwarded-For, -Proto and -Host, or Forwarded (RFC 7239), or both.
        trusted: the clients whose word on the hops before them is added to, not replaced.
        on_request: called with the stripped request, which it may change; a Response that it
            returns is the answer, and nothing is forwarded.
        on_response: called with the stripped final response, which it may change.
        absolute: True where the next hop is a proxy, which gets targets in absolute-form.
        authorization: what the next hop gets instead of the client's Proxy-Authorization, b"" for none;
            None where that is not for us, and passes.
        upgrade: the protocols, in lower case, that origins are asked to switch to with Upgrade.
        says: where Proxy-Status is said, and how much.
        may_remember: True if what becomes of a request depends on its own head alone.
    """

    __slots__ = (
        "absolute",
        "authorization",
        "forwarded",
        "host",
        "mark",
        "may_remember",
        "on_request",
        "on_response",
        "pseudonym",
        "says",
        "spoken",
        "trusted",
        "upgrade",
    )

    def __init__(
        self,
        pseudonym: bytes = b"perdure",
        mark: bytes = b"",
        host: Literal["keep", "origin"] = "keep",
        forwarded: Literal["replace", "append", "leave"] = "replace",
        on_request: RequestHook | None = None,
        on_response: ResponseHook | None = None,
        spoken: Spoken = "x-forwarded",
        trusted: Senders = NOBODY,
        absolute: bool = False,
        authorization: bytes | None = None,
        upgrade: Collection[bytes] = (),
        says: Said = "errors",
    ) -> None:
        self.pseudonym = pseudonym
        self.says: Said = says
        self.mark = b"%b (%b)" % (pseudonym, mark) if mark else b""
        self.host = host
        self.forwarded = forwarded
        self.on_request = on_request
        self.on_response = on_response
        self.spoken: Spoken = spoken
        self.trusted = trusted
        self.absolute = absolute
        self.authorization = authorization
        self.upgrade = frozenset(upgrade)
        self.may_remember = host == "keep" and on_request is None

    @property
    def next_hop(self) -> str:
        """What is asked, in words for a person."""
        return "the parent proxy" if self.absolute else ORIGIN


# Requests


def max_forwards(request: Request) -> int | None:
    """How many hops a TRACE or OPTIONS request may still take; None where nothing limits it.

    Raises:
        RemoteViolation: with status 400 for a Max-Forwards that is no number.

    RFC 9110 §7.6.2.
    """
    if request.method not in (b"TRACE", b"OPTIONS"):
        return None  # 9110 §9.3.7: it may be ignored elsewhere (R139)
    values = [line.value for line in request.fields if line.lowered == b"max-forwards"]
    if not values:
        return None
    if len(values) > 1 or not values[0].isdigit() or len(values[0]) > 9:
        raise RemoteViolation(f"Max-Forwards is {values[0][:20]!r} (9110 §7.6.2)", Reason.BAD_SYNTAX)
    return int(values[0])


def seen_before(fields: Sequence[FieldLine], rules: Forwarding) -> bool:
    """True if a request has passed through us already.

    Our own mark in Via says so. Others may remove marks, which are comments, so too many members
    of our name say so as well; a few are no loop, but other gateways of the same name.

    RFC 9110 §7.6 (loop protection), §7.6.3 (Via).
    """
    passes = 0
    for line in fields:
        if line[1] != b"via":
            continue
        if rules.mark and rules.mark in line.value:
            return True
        members = [member.split(None, 2) for member in line.value.split(b",")]
        passes += sum(len(words) > 1 and words[1] == rules.pseudonym for words in members)
    return passes >= MOST_PASSES


def is_copied(line: FieldLine) -> bool:
    """True of a field of a request that crosses octet for octet whatever its value is, or not at all.

    What names it may still keep it back; credentials may claim the connection. RFC 9110 §7.6.
    """
    return line[3] == ORDINARY and line[1] not in LOOKED_AT and not is_said_of_hops(line[1])


def strip_request(
    request: Request, rules: Forwarding, origin_authority: bytes, trusted: bool = False
) -> Request:
    """The request as it may leave: in our own version, with the origin-form and the right Host.

    Args:
        request: as received; it is not changed.
        origin_authority: of the origin, such as b"127.0.0.1:9000".
        trusted: whether what the client says of the hops before it is kept (`ClientHop.trusted`).

    Raises:
        RemoteViolation: with status 400 if it nominates what must not be removed.

    RFC 9110 §7.6.1, RFC 9112 §3.2.
    """
    facts = request.facts
    wanted = authority(request.target, facts)
    host = origin_authority if rules.host == "origin" or not wanted else wanted
    replaces = rules.forwarded == "replace" and not trusted
    lines = [make_line(b"Host", host)]
    hops = max_forwards(request)
    for line in strip(request.fields, facts):
        name = line[1]
        if line[3] == HOST or (line[3] == EXPECT and not _may_wait(request)):
            continue
        if replaces and is_said_of_hops(name):
            continue
        if hops is not None and name == b"max-forwards":
            line = make_line(line.name, b"%d" % (hops - 1))
        lines.append(line)
    if rules.authorization is not None:  # 9110 §11.7.2: said to us, and consumed
        lines = [line for line in lines if line[1] != b"proxy-authorization"]
    target = request.target if rules.absolute else _target_to_send(request)
    # The facts are gathered once everything was added; until then those received stand in.
    return Request(request.method, target, lines, HTTP_11, facts, request.framing, request.end)


def _may_wait(request: Request) -> bool:
    """Whether an expectation means anything: not without content (R156), not in 1.0 (R158)."""
    return not request.end and request.version >= HTTP_11


def _target_to_send(request: Request) -> bytes:
    target = request.target
    if target[:1] == b"/" or target == b"*":
        return target
    if request.method == b"OPTIONS" and target.endswith(b"://" + authority(target, request.facts)):
        return b"*"  # 9112 §3.2.4: the last proxy turns an empty path into the asterisk (R23)
    return origin_form(target)


def add_to_request(forwarded: Request, request: Request, rules: Forwarding, hop: ClientHop) -> Request:
    """Add what we say of ourselves and of the client; the last step before sending.

    Args:
        forwarded: from `strip_request`, perhaps changed by a hook; changed and returned.
        request: as received.

    RFC 9110 §7.6.3 (Via), §10.1.4 (TE).
    """
    lines = list(forwarded.fields)
    comment = rules.mark or rules.pseudonym
    lines.append(make_line(b"Via", b"%d.%d %b" % (*request.version, comment)))
    if rules.forwarded != "leave":
        lines = say_client(lines, authority(request.target, request.facts), hop, rules.spoken)
    if rules.authorization:
        lines.append(make_line(b"Proxy-Authorization", rules.authorization))
    if request.facts.trailers_accepted and request.version >= HTTP_11:
        lines.append(TRAILERS_WANTED)
    forwarded.fields = lines
    forwarded.facts = gather(HTTP_11, True, lines)
    return forwarded


def readdress(forwarded: Request, request: Request, rules: Forwarding, origin_authority: bytes) -> None:
    """Change Host for another origin, if that is what it shall be, or none was named. RFC 9112 §3.2."""
    if rules.host == "origin" or not authority(request.target, request.facts):
        host = make_line(b"Host", origin_authority)
        forwarded.fields = [host if line[3] == HOST else line for line in forwarded.fields]
        forwarded.facts = gather(HTTP_11, True, forwarded.fields)


def reflection(request: Request) -> bytes:
    """What a TRACE request gets back from its final recipient: its head, without what is private.

    RFC 9110 §9.3.8.
    """
    start = b"%b %b HTTP/%d.%d\r\n" % (request.method, request.target, *request.version)
    return start + b"".join([line.octets for line in request.fields if line.lowered not in PRIVATE]) + b"\r\n"


# Responses


def refuse_response(response: Response) -> None:
    """Refuse a response that cannot be forwarded whatever its content is.

    Raises:
        RemoteViolation: with status 502 for a 101 that nobody asked for, and for a transfer coding
            that we did not ask for and therefore cannot take off.

    RFC 9110 §7.8, RFC 9112 §7.4.
    """
    if response.status == 101:
        message = "the origin switched protocols without being asked (9110 §7.8)"
        raise RemoteViolation(message, Reason.BAD_SYNTAX, 502)
    codings = response.facts.codings
    if codings and split_list(codings) != [b"chunked"]:
        message = f"the origin applied transfer coding {codings[0][:40]!r} unasked (9112 §7.4)"
        raise RemoteViolation(message, Reason.FAULTY_FRAMING, 502)


@lru_cache(1)
def _date_line_of(second: int) -> FieldLine:
    return make_line(b"Date", http_date(second))


def date_line() -> FieldLine:
    """The Date field of this second. RFC 9110 §6.6.1."""
    return _date_line_of(int(wall_clock()))


def forward_response(
    response: Response, rules: Forwarding, date: Callable[[], FieldLine], next_hop: str = ""
) -> Response:
    """The final response as it may go to the client.

    Args:
        response: as received; it is not changed.
        date: makes our own Date field, for a response that came without one.
        next_hop: who gave it, for Proxy-Status; "" where that is not told.

    Raises:
        RemoteViolation: with status 502 if it nominates what must not be removed, or as
            `refuse_response` says.
        LocalViolation: the hook failed.

    RFC 9110 §6.6.1 (Date), §7.6.1, §7.6.3.
    """
    if response.facts.codings or response.status == 101:
        refuse_response(response)
    lines = strip(response.fields, response.facts)
    if not any([line[1] == b"date" for line in lines]):
        lines.append(date())  # 9110 §6.6.1: a recipient with a clock adds what is missing
    forwarded = Response(
        response.status, lines, response.reason_phrase, facts=response.facts, end=response.end
    )
    if rules.on_response is not None:
        call_hook(rules.on_response, forwarded)
    lines = [*forwarded.fields, via_of_response(response, rules)]
    if response.status == 426:
        lines += offer_upgrade([line.value for line in response.fields if line.kind == UPGRADE], rules)
    if rules.says != "errors":
        lines.append(status_line(rules.pseudonym, received=response.status, next_hop=next_hop))
    forwarded.fields = lines
    forwarded.facts = gather(HTTP_11, False, lines)
    forwarded.block = block(lines)
    return forwarded


def offer_upgrade(values: Iterable[bytes], rules: Forwarding) -> list[FieldLine]:
    """The Upgrade line of this hop: those of the protocols named on the other hop which the rules allow.

    Of a request, or of a 426, which has to name some (R144). RFC 9110 §7.8, §15.5.22.
    """
    offered = [protocol for protocol in split_list(values) if protocol in rules.upgrade]
    return [make_line(b"Upgrade", b", ".join(offered))] if offered else []


def call_hook(hook: ResponseHook, forwarded: Response) -> None:
    """Let the user's hook look at a response. Raises LocalViolation where it fails."""
    try:
        hook(forwarded)
    except Exception as error:
        message = f"on_response failed: {error!r}"
        raise LocalViolation(message, Reason.LOCAL_FAULT, 500) from error


def via_of_response(response: Response, rules: Forwarding) -> FieldLine:
    """Our Via member for a response, with the version received. RFC 9110 §7.6.3."""
    return make_line(b"Via", b"%d.%d %b" % (*response.version, rules.pseudonym))


def forward_interim(interim: Interim) -> Interim:
    """The interim response as it may go to the client. RFC 9110 §15.2, §7.6.1."""
    facts = gather(HTTP_11, False, interim.fields)
    return Interim(interim.status, strip(interim.fields, facts), interim.reason_phrase)


def forward_trailers(trailers: Sequence[FieldLine], facts: Facts, wanted: bool) -> Sequence[FieldLine]:
    """The trailer fields that may cross, of a message whose head had these facts.

    Args:
        wanted: whether the recipient said that it takes trailers; otherwise they are dropped.

    RFC 9110 §6.5.1, §7.6.1.
    """
    return strip_trailers(trailers, facts) if wanted and trailers else ()
