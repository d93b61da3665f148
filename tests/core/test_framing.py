"""How long a message is: the four questions and all their answers."""

from __future__ import annotations

import pytest

from perdure.core import (
    HTTP_10,
    HTTP_11,
    Facts,
    Framing,
    FramingKind,
    LocalViolation,
    Reason,
    RemoteViolation,
)
from perdure.core import framing as rules
from perdure.core.fields import gather, make_lines
from perdure.core.framing import request_framing, request_to_send, response_framing, response_to_send

KINDS = {b"CL": b"Content-Length", b"TE": b"Transfer-Encoding"}


def facts_of(*fields: bytes, version: tuple[int, int] = HTTP_11, is_request: bool = True) -> Facts:
    """Facts of fields such as b"CL: 5" and b"TE: chunked"."""
    pairs = [(KINDS[name], value.strip()) for name, _, value in (field.partition(b":") for field in fields)]
    return gather(version, is_request, make_lines(pairs))


@pytest.mark.parametrize(
    ("fields", "framing"),
    [
        pytest.param([], Framing(FramingKind.NONE), marks=pytest.mark.row("R61")),
        ([b"CL: 0"], Framing(FramingKind.NONE)),
        ([b"CL: 5"], Framing(FramingKind.LENGTH, 5)),
        ([b"CL: 005"], Framing(FramingKind.LENGTH, 5)),
        pytest.param([b"CL: 2147483648"], Framing(FramingKind.LENGTH, 2**31), marks=pytest.mark.row("R65")),
        pytest.param([b"CL: 4294967296"], Framing(FramingKind.LENGTH, 2**32), marks=pytest.mark.row("R65")),
        pytest.param(
            [b"CL: 9223372036854775808"], Framing(FramingKind.LENGTH, 2**63), marks=pytest.mark.row("R65")
        ),
        pytest.param([b"TE: chunked"], rules.CHUNKED, marks=pytest.mark.row("R40")),
        pytest.param([b"TE: CHUNKED"], rules.CHUNKED, marks=pytest.mark.row("R81")),
        pytest.param([b"TE: ,chunked"], rules.CHUNKED, marks=pytest.mark.row("R36")),
        pytest.param([b"TE: chunked ,"], rules.CHUNKED, marks=pytest.mark.row("R36")),
    ],
)
def test_request_is_framed(fields: list[bytes], framing: Framing) -> None:
    assert request_framing(facts_of(*fields)) == framing


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        *[
            pytest.param([b"CL: " + value], 400, marks=pytest.mark.row("R56"))
            for value in [b"+5", b"-1", b"0x5", b"5 5", b"5;", b"", b"5, 6", b"5_0", b"1e1", b"\xef\xbc\x95"]
        ],
        pytest.param([b"CL: 5", b"CL: 6"], 400, marks=pytest.mark.row("R56")),
        pytest.param([b"CL: 36893488147419103232"], 400, marks=pytest.mark.row("R56", "R65")),
        pytest.param([b"CL: 1" + b"0" * 30], 400, marks=pytest.mark.row("R65")),
        pytest.param([b"CL: " + b"9" * 5000], 400, marks=pytest.mark.row("R65")),
        pytest.param([b"CL: 5", b"CL: 5"], 400, marks=pytest.mark.row("R59")),
        pytest.param([b"CL: 5, 5"], 400, marks=pytest.mark.row("R59")),
        pytest.param([b"CL: 5", b"TE: chunked"], 400, marks=pytest.mark.row("R48", "R53")),
        pytest.param([b"TE: chunked", b"CL: 5"], 400, marks=pytest.mark.row("R48", "R53")),
        pytest.param([b"TE: identity", b"CL: 5"], 400, marks=pytest.mark.row("R48")),
        *[
            pytest.param([b"TE: " + value], 400, marks=pytest.mark.row("R54"))
            for value in [b"chunked, gzip", b"gzip", b"identity", b"xchunked", b"", b",", b"chunked identity"]
        ],
        pytest.param([b"TE: chunked", b"TE: identity"], 400, marks=pytest.mark.row("R54")),
        pytest.param([b"TE: chunked;q=1"], 400, marks=pytest.mark.row("R80")),
        pytest.param([b'TE: "chunked"'], 400, marks=pytest.mark.row("R54")),
        pytest.param([b"TE: chunked", b"TE: chunked"], 400, marks=pytest.mark.row("R41")),
        pytest.param([b"TE: chunked, chunked"], 400, marks=pytest.mark.row("R41")),
        pytest.param([b"TE: foo, chunked"], 501, marks=pytest.mark.row("R45")),
        pytest.param([b"TE: gzip", b"TE: chunked"], 501, marks=pytest.mark.row("R45")),
    ],
)
def test_request_whose_length_is_in_doubt_is_refused(fields: list[bytes], status: int) -> None:
    with pytest.raises(RemoteViolation) as caught:
        request_framing(facts_of(*fields))
    assert (caught.value.status, caught.value.reason) == (status, Reason.FAULTY_FRAMING)


@pytest.mark.row("R49")
def test_transfer_coding_in_http_10_request_is_refused() -> None:
    with pytest.raises(RemoteViolation, match="Transfer-Encoding in an HTTP") as caught:
        request_framing(facts_of(b"TE: chunked", version=HTTP_10))
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("fields", "status", "method", "framing"),
    [
        ([], 200, b"GET", rules.UNTIL_CLOSE),
        ([b"CL: 5"], 200, b"GET", Framing(FramingKind.LENGTH, 5)),
        ([b"CL: 0"], 404, b"GET", rules.NO_CONTENT),
        ([b"TE: chunked"], 200, b"POST", rules.CHUNKED),
        pytest.param([b"TE: Chunked"], 200, b"GET", rules.CHUNKED, marks=pytest.mark.row("R81")),
        pytest.param([b"TE: gzip, chunked"], 200, b"GET", rules.CHUNKED, marks=pytest.mark.row("R40")),
        pytest.param([b"TE: gzip"], 200, b"GET", rules.UNTIL_CLOSE, marks=pytest.mark.row("R55")),
        pytest.param([b"TE:"], 200, b"GET", rules.UNTIL_CLOSE, marks=pytest.mark.row("R55")),
        *[
            pytest.param(fields, status, method, rules.NO_CONTENT, marks=pytest.mark.row("R51"))
            for fields in ([b"CL: 10"], [b"TE: chunked"], [b"CL: x", b"TE: gzip"], [])
            for status, method in (
                (200, b"HEAD"),
                (304, b"GET"),
                (204, b"GET"),
                (103, b"GET"),
                (100, b"CONNECT"),
            )
        ],
        *[
            pytest.param(fields, status, b"CONNECT", rules.TUNNEL, marks=pytest.mark.row("R52"))
            for fields in ([b"CL: 5"], [b"TE: chunked"], [b"CL: 5", b"TE: chunked"], [])
            for status in (200, 204, 299)
        ],
        ([b"CL: 5"], 407, b"CONNECT", Framing(FramingKind.LENGTH, 5)),
        ([], 101, b"GET", rules.TUNNEL),
        ([b"CL: 5"], 205, b"GET", Framing(FramingKind.LENGTH, 5)),
    ],
)
def test_response_is_framed(fields: list[bytes], status: int, method: bytes, framing: Framing) -> None:
    assert response_framing(facts_of(*fields, is_request=False), status, method) == framing


@pytest.mark.row("R49")
@pytest.mark.parametrize(
    ("value", "framing"),
    [(b"TE: chunked", rules.FAULTY_CHUNKED), (b"TE: gzip", rules.FAULTY_UNTIL_CLOSE)],
)
def test_transfer_coding_in_http_10_response_is_taken_and_not_trusted(value: bytes, framing: Framing) -> None:
    facts = facts_of(value, version=HTTP_10, is_request=False)
    assert response_framing(facts, 200, b"GET") == framing
    assert framing.faulty


@pytest.mark.parametrize(
    "fields",
    [
        *[
            pytest.param([b"CL: " + value], marks=pytest.mark.row("R57", "R58"))
            for value in [b"+5", b"-1", b"0x5", b"5 5", b"5;", b"", b"5, 6", b"1" * 20]
        ],
        pytest.param([b"CL: 5", b"CL: 5"], marks=pytest.mark.row("R59")),
        pytest.param([b"CL: 5", b"TE: chunked"], marks=pytest.mark.row("R53")),
        pytest.param([b"TE: chunked, chunked"], marks=pytest.mark.row("R41")),
        pytest.param([b"TE: chunked, gzip"], marks=pytest.mark.row("R55")),
    ],
)
def test_response_whose_length_is_in_doubt_is_refused(fields: list[bytes]) -> None:
    with pytest.raises(RemoteViolation) as caught:
        response_framing(facts_of(*fields, is_request=False), 200, b"GET")
    assert (caught.value.status, caught.value.reason) == (502, Reason.FAULTY_FRAMING)


CHUNKED_LINE = b"Transfer-Encoding: chunked\r\n"


@pytest.mark.parametrize(
    ("fields", "status", "method", "version", "length", "kind", "line"),
    [
        pytest.param(
            [], 200, b"GET", HTTP_11, 5, "LENGTH", b"Content-Length: 5\r\n", marks=pytest.mark.row("R69")
        ),
        pytest.param(
            [], 200, b"GET", HTTP_10, 5, "LENGTH", b"Content-Length: 5\r\n", marks=pytest.mark.row("R69")
        ),
        ([], 404, b"GET", HTTP_11, 0, "NONE", b"Content-Length: 0\r\n"),
        ([b"CL: 5"], 200, b"GET", HTTP_11, 5, "LENGTH", b""),
        ([b"CL: 5"], 200, b"GET", HTTP_11, None, "LENGTH", b""),
        ([b"CL: 0"], 200, b"GET", HTTP_11, None, "NONE", b""),
        pytest.param([], 200, b"GET", HTTP_11, None, "CHUNKED", CHUNKED_LINE, marks=pytest.mark.row("R62")),
        pytest.param([], 200, b"GET", (1, 2), None, "CHUNKED", CHUNKED_LINE, marks=pytest.mark.row("R13")),
        pytest.param([], 200, b"GET", HTTP_10, None, "UNTIL_CLOSE", b"", marks=pytest.mark.row("R47")),
        pytest.param(
            [b"TE: gzip"], 200, b"GET", HTTP_11, None, "CHUNKED", CHUNKED_LINE, marks=pytest.mark.row("R43")
        ),
        pytest.param([], 204, b"GET", HTTP_11, None, "NONE", b"", marks=pytest.mark.row("R44")),
        pytest.param([b"CL: 5"], 204, b"GET", HTTP_11, 5, "NONE", b"", marks=pytest.mark.row("R44")),
        pytest.param([b"CL: 5"], 103, b"GET", HTTP_11, None, "NONE", b"", marks=pytest.mark.row("R44")),
        pytest.param([b"CL: 5"], 200, b"CONNECT", HTTP_11, 0, "TUNNEL", b"", marks=pytest.mark.row("R44")),
        ([], 101, b"GET", HTTP_11, None, "TUNNEL", b""),
        ([], 407, b"CONNECT", HTTP_11, 0, "NONE", b"Content-Length: 0\r\n"),
        pytest.param([], 304, b"GET", HTTP_11, 7, "NONE", b"", marks=pytest.mark.row("R67")),
        pytest.param([b"CL: 7"], 304, b"GET", HTTP_11, 0, "NONE", b"", marks=pytest.mark.row("R67")),
        pytest.param(
            [], 200, b"HEAD", HTTP_11, 7, "NONE", b"Content-Length: 7\r\n", marks=pytest.mark.row("R67")
        ),
        pytest.param([b"CL: 7"], 200, b"HEAD", HTTP_11, 0, "NONE", b"", marks=pytest.mark.row("R67")),
        ([], 200, b"HEAD", HTTP_11, None, "NONE", b""),
        ([], 200, b"HEAD", HTTP_11, 0, "NONE", b""),
        pytest.param(
            [b"CL: 5"],
            205,
            b"GET",
            HTTP_11,
            5,
            "NONE",
            b"Content-Length: 0\r\n",
            marks=pytest.mark.row("R68"),
        ),
    ],
)
def test_response_of_ours_is_framed(
    fields: list[bytes],
    status: int,
    method: bytes,
    version: tuple[int, int],
    length: int | None,
    kind: str,
    line: bytes,
) -> None:
    outgoing = response_to_send(facts_of(*fields, is_request=False), status, method, version, length)
    assert (outgoing.framing.kind.name, outgoing.line) == (kind, line)


@pytest.mark.row("R44", "R52")
@pytest.mark.parametrize(
    ("status", "method"), [(204, b"GET"), (103, b"GET"), (205, b"GET"), (200, b"CONNECT")]
)
def test_length_of_the_caller_is_dropped_where_none_may_be_sent(status: int, method: bytes) -> None:
    assert response_to_send(facts_of(b"CL: 5", is_request=False), status, method, HTTP_11, None).drop_length


@pytest.mark.row("R68")
@pytest.mark.parametrize(
    ("status", "method", "silent"),
    [
        (204, b"GET", True),
        (304, b"GET", True),
        (205, b"GET", True),
        (200, b"HEAD", True),
        (200, b"GET", False),
    ],
)
def test_content_is_silently_dropped_only_where_none_may_be_sent(
    status: int, method: bytes, silent: bool
) -> None:
    assert response_to_send(facts_of(is_request=False), status, method, HTTP_11, 5).silent is silent


@pytest.mark.row("R66")
@pytest.mark.parametrize("fields", [[b"CL: x"], [b"CL: 5", b"CL: 5"], [b"CL: -1"], [b"CL: 6"]])
def test_wrong_length_of_the_caller_is_never_sent(fields: list[bytes]) -> None:
    with pytest.raises(LocalViolation) as caught:
        response_to_send(facts_of(*fields, is_request=False), 200, b"GET", HTTP_11, 5)
    assert (caught.value.status, caught.value.reason) == (500, Reason.LOCAL_FAULT)
    with pytest.raises(LocalViolation):
        request_to_send(facts_of(*fields), b"POST", 5, True)


@pytest.mark.parametrize(
    ("fields", "method", "length", "speaks_11", "kind", "line"),
    [
        ([], b"GET", 0, False, "NONE", b""),
        pytest.param([], b"POST", 0, False, "NONE", b"Content-Length: 0\r\n", marks=pytest.mark.row("R63")),
        pytest.param([], b"POST", 5, False, "LENGTH", b"Content-Length: 5\r\n", marks=pytest.mark.row("R63")),
        pytest.param([], b"GET", 5, True, "LENGTH", b"Content-Length: 5\r\n", marks=pytest.mark.row("R63")),
        ([b"CL: 5"], b"PUT", 5, False, "LENGTH", b""),
        ([b"CL: 5"], b"PUT", None, False, "LENGTH", b""),
        ([b"CL: 0"], b"PUT", None, False, "NONE", b""),
        ([b"CL: 0"], b"TRACE", 0, False, "NONE", b""),
        pytest.param([], b"POST", None, True, "CHUNKED", CHUNKED_LINE, marks=pytest.mark.row("R63")),
        pytest.param(
            [b"TE: gzip"], b"POST", None, True, "CHUNKED", CHUNKED_LINE, marks=pytest.mark.row("R42")
        ),
    ],
)
def test_request_of_ours_is_framed(
    fields: list[bytes], method: bytes, length: int | None, speaks_11: bool, kind: str, line: bytes
) -> None:
    outgoing = request_to_send(facts_of(*fields), method, length, speaks_11)
    assert (outgoing.framing.kind.name, outgoing.line) == (kind, line)


@pytest.mark.row("R46")
@pytest.mark.parametrize(("version", "speaks_11"), [(HTTP_11, False), (HTTP_10, True), (HTTP_10, False)])
def test_chunked_request_needs_a_server_known_to_speak_11(version: tuple[int, int], speaks_11: bool) -> None:
    with pytest.raises(LocalViolation, match="content of unknown length"):
        request_to_send(facts_of(version=version), b"POST", None, speaks_11)


@pytest.mark.row("R71")
@pytest.mark.parametrize(("fields", "length"), [([], 5), ([], None), ([b"CL: 5"], None)])
def test_trace_has_no_content(fields: list[bytes], length: int | None) -> None:
    with pytest.raises(LocalViolation, match="a TRACE request has no content"):
        request_to_send(facts_of(*fields), b"TRACE", length, True)


def test_lengths_that_repeat_share_their_framing() -> None:
    assert rules.framed_by_length(0) is rules.NO_CONTENT
    assert rules.framed_by_length(77) is rules.framed_by_length(77)
