"""The one decision, row by row, and what is said about it (RFC 9112 §9.3, §9.6, C.2.2)."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.core import HTTP_10, HTTP_11, Announce, Case, Facts, Framing, FramingKind, Reason, Role, decide
from perdure.core import persistence as persistence_module
from perdure.core.fields import Version, gather, make_lines
from perdure.core.framing import FAULTY_CHUNKED, FAULTY_UNTIL_CLOSE, NO_CONTENT
from perdure.core.persistence import (
    DECISION,
    SAY_CLOSE,
    SAY_KEEP_ALIVE,
    SAY_NOTHING,
    Announcement,
    announce_request,
    announce_response,
    decide_plain,
)


def facts(version: Version, is_request: bool, *connection_lines: bytes) -> Facts:
    """The facts of a head with these Connection lines."""
    return gather(version, is_request, make_lines([(b"Connection", value) for value in connection_lines]))


def at_server(
    *connection_lines: bytes, version: Version = HTTP_11, role: Role = Role.SERVER, honoured: bool = True
) -> Reason:
    """What a server decides of a request, for a plain framed response."""
    sent = facts(HTTP_11, False)
    return decide(
        Case(facts(version, True, *connection_lines), sent, role, NO_CONTENT, http_10_honoured=honoured)
    )


def at_client(sent: Facts, received: Facts, framing: Framing = NO_CONTENT) -> Reason:
    return decide(Case(received, sent, Role.CLIENT, framing))


# Tokens

CLOSES = (
    b"close",
    b"Close",
    b"CLOSE",
    b"close, keep-alive",
    b"keep-alive, Close",
    b"Keep-Alive,close",
    b",, close ,",
    b"\tclose\t",
    b"x,close,y",
    b"close,close",
)
OPENS = (
    b"something-close",
    b"close-something",
    b"not close",
    b"close;q=1",
    b'"close"',
    b"clos",
    b"closed",
    b"Content-Close",
    b"",
    b",",
    b"upgrade",
    b"keep-alive",
)


@pytest.mark.row("R92", "R36", "S6")
@pytest.mark.parametrize("value", CLOSES)
@pytest.mark.parametrize("version", [HTTP_10, HTTP_11])
def test_close_is_a_whole_case_insensitive_token_and_wins(value: bytes, version: Version) -> None:
    assert at_server(value, version=version) is Reason.CLOSE_RECEIVED
    assert at_server(b"keep-alive", value, version=version) is Reason.CLOSE_RECEIVED
    assert at_server(value, b"keep-alive", version=version) is Reason.CLOSE_RECEIVED
    assert at_client(facts(HTTP_11, True), facts(version, False, value)) is Reason.CLOSE_RECEIVED


@pytest.mark.row("R92")
@pytest.mark.parametrize("answer", [b"close", b"keep-alive", b""])
def test_client_that_asked_for_the_end_is_the_one_that_asked(answer: bytes) -> None:
    """§9.6: a server answers a close option with its own, which is no wish of its own."""
    request = facts(HTTP_11, True, b"close")
    assert at_client(request, facts(HTTP_11, False, answer)) is Reason.CLOSE_SENT


@pytest.mark.row("R92", "R93")
@pytest.mark.parametrize("value", OPENS)
def test_what_only_looks_like_close_closes_nothing(value: bytes) -> None:
    assert at_server(value) is Reason.PERSISTS_11
    assert at_client(facts(HTTP_11, True), facts(HTTP_11, False, value)) is Reason.PERSISTS_11


@pytest.mark.row("R94", "R95", "S2", "S3")
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"keep-alive", Reason.PERSISTS_10),
        (b"Keep-Alive", Reason.PERSISTS_10),
        (b"foo, KEEP-ALIVE ,bar", Reason.PERSISTS_10),
        (b"x-keep-alive", Reason.HTTP_10),
        (b"keep-alive-please", Reason.HTTP_10),
        (b"keep-alive=5", Reason.HTTP_10),
        (b"keep", Reason.HTTP_10),
        (b"", Reason.HTTP_10),
    ],
)
def test_http_10_persists_by_the_whole_keep_alive_token_only(value: bytes, reason: Reason) -> None:
    assert at_server(value, version=HTTP_10) is reason
    received = facts(HTTP_10, False, value)
    assert at_client(facts(HTTP_11, True), received) is reason


@pytest.mark.row("R95", "R182")
def test_http_10_without_options_closes() -> None:
    assert at_server(version=HTTP_10) is Reason.HTTP_10
    assert at_client(facts(HTTP_11, True), facts(HTTP_10, False)) is Reason.HTTP_10


@pytest.mark.row("R13")
@pytest.mark.parametrize("minor", range(1, 10))
def test_later_minor_versions_persist_as_11(minor: int) -> None:
    assert at_server(version=(1, minor)) is Reason.PERSISTS_11


@pytest.mark.row("S2", "R182")
def test_client_that_did_not_ask_in_http_10_does_not_expect_persistence() -> None:
    answer = facts(HTTP_11, False)  # a server speaks 1.1 to an HTTP/1.0 client too (R12)
    assert at_client(facts(HTTP_10, True), answer) is Reason.HTTP_10
    assert at_client(facts(HTTP_10, True, b"keep-alive"), answer) is Reason.PERSISTS_11


# Roles


@pytest.mark.row("R102", "S12")
def test_proxy_never_persists_with_an_http_10_client() -> None:
    assert at_server(b"keep-alive", version=HTTP_10, role=Role.PROXY) is Reason.PROXY_10
    assert at_server(version=HTTP_10, role=Role.PROXY) is Reason.HTTP_10
    assert at_server(role=Role.PROXY) is Reason.PERSISTS_11


@pytest.mark.row("R94")
def test_proxy_may_persist_with_an_http_10_server() -> None:
    received = facts(HTTP_10, False, b"keep-alive")
    case = Case(received, facts(HTTP_11, True), Role.PROXY, NO_CONTENT)
    assert decide(case) is Reason.PERSISTS_10


@pytest.mark.row("S12")
def test_distrusted_http_10_option_is_ignored_and_11_is_not_touched() -> None:
    assert at_server(b"keep-alive", version=HTTP_10, honoured=False) is Reason.HTTP_10_IGNORED
    assert at_server(b"keep-alive", version=HTTP_11, honoured=False) is Reason.PERSISTS_11


@pytest.mark.row("R181", "R174", "R123")
@pytest.mark.parametrize(
    "name", [b"Proxy-Connection", b"Keep-Alive", b"Close", b"X-Connection", b"Persistent"]
)
@pytest.mark.parametrize("role", Role)
def test_no_other_field_decides(name: bytes, role: Role) -> None:
    for value in (b"keep-alive", b"close", b"timeout=5"):
        old = gather(HTTP_10, True, make_lines([(name, value)]))
        new = gather(HTTP_11, True, make_lines([(name, value)]))
        if (name, value, role) == (b"Proxy-Connection", b"close", Role.PROXY):
            continue  # said to us
        assert decide(Case(old, facts(HTTP_11, False), role, NO_CONTENT)) is Reason.HTTP_10
        assert decide(Case(new, facts(HTTP_11, False), role, NO_CONTENT)) is Reason.PERSISTS_11


@pytest.mark.row("R49")
@pytest.mark.parametrize("framing", [FAULTY_CHUNKED, FAULTY_UNTIL_CLOSE])
def test_faulty_framing_ends_the_connection_whatever_was_said(framing: Framing) -> None:
    received = facts(HTTP_10, False, b"keep-alive")
    assert at_client(facts(HTTP_11, True), received, framing) is Reason.FAULTY_FRAMING


# The order

LAST = Case(facts(HTTP_10, True, b"keep-alive"), facts(HTTP_11, False), Role.SERVER, NO_CONTENT)
"""What only the last row is for: HTTP/1.0 with the keep-alive option, at an origin server."""


def framed(kind: FramingKind) -> Callable[[Case], Case]:
    return lambda case: case._replace(framing=case.framing._replace(kind=kind))


def received(version: Version, *connection_lines: bytes) -> Callable[[Case], Case]:
    return lambda case: case._replace(received=facts(version, True, *connection_lines))


def asked_to_close(facts: Facts) -> Facts:
    heard = copy(facts)
    heard.options = frozenset([b"keep-alive", b"close"])
    return heard


def asked_by_netscape(facts: Facts) -> Facts:
    lines = [(b"Proxy-Connection", b"Keep-Alive"), *[(b"Connection", option) for option in facts.options]]
    return gather(HTTP_10, True, make_lines(lines))


INGREDIENTS: tuple[Callable[[Case], Case], ...] = (
    framed(FramingKind.TUNNEL),
    lambda case: case._replace(framing=case.framing._replace(faulty=True)),
    lambda case: case._replace(received=asked_to_close(case.received)),
    lambda case: case._replace(sent=facts(HTTP_11, False, b"close")),
    framed(FramingKind.UNTIL_CLOSE),
    lambda case: case._replace(unread=True),
    lambda case: case._replace(limit=Reason.DRAIN),
    lambda case: case._replace(
        role=Role.PROXY, proxy_connection_honoured=True, received=asked_by_netscape(case.received)
    ),
    received(HTTP_10, b"x"),
    received(HTTP_11),
    lambda case: case._replace(role=Role.PROXY),
    lambda case: case._replace(http_10_honoured=False),
    lambda case: case,
)
"""For each row of DECISION what makes it hold, where else only the last row would."""


def holding(*numbers: int) -> Case:
    """A case in which these rows hold, the first of them for sure."""
    case = LAST
    for number in reversed(numbers):
        case = INGREDIENTS[number](case)
    return case


def reason_of(number: int) -> Reason:
    return DECISION[number].reason or Reason.DRAIN


def test_every_row_of_the_decision_has_an_ingredient() -> None:
    assert len(INGREDIENTS) == len(DECISION)


@pytest.mark.parametrize("number", range(len(DECISION)), ids=lambda number: reason_of(number).word)
def test_each_row_gives_its_reason(number: int) -> None:
    case = holding(number)
    assert decide(case) is reason_of(number)
    assert [row.holds(case) for row in DECISION[:number]] == [False] * number


@pytest.mark.parametrize(("first", "second"), list(combinations(range(len(DECISION)), 2)))
def test_each_row_wins_over_each_later_one(first: int, second: int) -> None:
    assert decide(holding(first, second)) is reason_of(first)


@pytest.mark.parametrize("first", range(len(DECISION)))
def test_each_row_wins_over_all_later_ones_together(first: int) -> None:
    assert decide(holding(*range(first, len(DECISION)))) is reason_of(first)


@pytest.mark.parametrize("limit", [Reason.MAX_REQUESTS, Reason.MAX_AGE, Reason.DRAIN, Reason.PRESSURE])
def test_limit_of_our_own_is_the_reason_it_gives(limit: Reason) -> None:
    case = Case(facts(HTTP_11, True), facts(HTTP_11, False), Role.SERVER, NO_CONTENT, limit=limit)
    assert decide(case) is limit


def test_table_without_its_last_row_is_a_bug_and_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persistence_module, "DECISION", DECISION[:-1])
    with pytest.raises(AssertionError):
        decide(LAST)


# The short way

versions = st.sampled_from([HTTP_10, HTTP_11, (1, 2)])
connection_lines = st.lists(
    st.sampled_from([*CLOSES, *OPENS, b"Keep-Alive", b"keep-alive", b"te, upgrade"]), max_size=2
)
framings = st.builds(Framing, st.sampled_from(FramingKind), st.integers(0, 9), st.booleans())
limits = st.none() | st.sampled_from([Reason.DRAIN, Reason.MAX_REQUESTS])


@given(
    versions,
    connection_lines,
    versions,
    connection_lines,
    framings,
    limits,
    st.sampled_from(Role),
    st.booleans(),
)
def test_short_way_agrees_with_the_table_wherever_it_answers(
    received_version: Version,
    received_lines: list[bytes],
    sent_version: Version,
    sent_lines: list[bytes],
    framing: Framing,
    limit: Reason | None,
    role: Role,
    honoured: bool,
) -> None:
    client = role is Role.CLIENT
    received = facts(received_version, not client, *received_lines)
    sent = facts(sent_version, client, *sent_lines)
    plain = decide_plain(received, sent, framing, limit)
    reason = decide(Case(received, sent, role, framing, False, limit, honoured))
    assert plain in (None, reason)


@pytest.mark.row("R93")
@pytest.mark.parametrize("kind", [FramingKind.NONE, FramingKind.LENGTH, FramingKind.CHUNKED])
def test_short_way_answers_the_commonest_case(kind: FramingKind) -> None:
    assert (
        decide_plain(facts(HTTP_11, True), facts(HTTP_11, False), Framing(kind), None) is Reason.PERSISTS_11
    )


# What is said

ENDS = [reason for reason in Reason if not reason.persists and reason is not Reason.TUNNEL]


@pytest.mark.row("R98", "R115")
@pytest.mark.parametrize("reason", ENDS, ids=lambda reason: str(reason.word))
@pytest.mark.parametrize("announce", Announce)
@pytest.mark.parametrize("version", [HTTP_10, HTTP_11])
def test_every_end_is_announced_with_close_alone(
    reason: Reason, announce: Announce, version: Version
) -> None:
    assert announce_response(reason, version, announce, 75, 9) == SAY_CLOSE == Announcement((b"close",), b"")


@pytest.mark.parametrize("announce", Announce)
def test_tunnel_has_nothing_to_say_of_persistence(announce: Announce) -> None:
    assert announce_response(Reason.TUNNEL, HTTP_11, announce, 75, 9) == SAY_NOTHING


@pytest.mark.row("R169", "R173", "S4")
@pytest.mark.parametrize(
    ("reason", "version", "announce", "timeout", "maximum", "options", "hints"),
    [
        (Reason.PERSISTS_11, HTTP_11, Announce.ALWAYS, 75, 9, (b"keep-alive",), b"timeout=75, max=9"),
        (Reason.PERSISTS_11, HTTP_11, Announce.ALWAYS, None, None, (), b""),
        (Reason.PERSISTS_11, HTTP_11, Announce.HTTP_10, 75, 9, (), b""),
        (Reason.PERSISTS_11, HTTP_11, Announce.NEVER, 75, 9, (), b""),
        (Reason.PERSISTS_10, HTTP_10, Announce.ALWAYS, 75, None, (b"keep-alive",), b"timeout=75"),
        (Reason.PERSISTS_10, HTTP_10, Announce.ALWAYS, None, None, (b"keep-alive",), b""),
        (Reason.PERSISTS_10, HTTP_10, Announce.HTTP_10, None, 9, (b"keep-alive",), b"max=9"),
        (Reason.PERSISTS_10, HTTP_10, Announce.NEVER, 75, 9, (b"keep-alive",), b""),
    ],
)
def test_hints_go_beside_the_option_and_http_10_always_gets_the_option(
    reason: Reason,
    version: Version,
    announce: Announce,
    timeout: int | None,
    maximum: int | None,
    options: tuple[bytes, ...],
    hints: bytes,
) -> None:
    assert announce_response(reason, version, announce, timeout, maximum)[:2] == (options, hints)


@pytest.mark.row("R97", "S2")
@pytest.mark.parametrize(
    ("version", "persist", "announcement"),
    [
        (HTTP_11, True, SAY_NOTHING),
        (HTTP_11, False, SAY_CLOSE),
        (HTTP_10, True, SAY_KEEP_ALIVE),
        (HTTP_10, False, SAY_NOTHING),
    ],
)
def test_request_says_only_what_is_not_the_default(
    version: Version, persist: bool, announcement: Announcement
) -> None:
    assert announce_request(version, persist) == announcement
