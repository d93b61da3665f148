"""Whose fault it is: the peer's and our caller's are told apart from the start."""

from __future__ import annotations

import pytest

from perdure.core import Error, LocalViolation, ProtocolViolation, Reason, RemoteViolation, ServerConnection


@pytest.mark.parametrize("kind", [RemoteViolation, LocalViolation])
def test_violation_carries_its_reason_and_status(kind: type[ProtocolViolation]) -> None:
    violation = kind("what went wrong", Reason.FAULTY_FRAMING, 501)
    assert (str(violation), violation.reason, violation.status) == (
        "what went wrong",
        Reason.FAULTY_FRAMING,
        501,
    )


def test_a_bad_request_is_the_usual_answer() -> None:
    assert RemoteViolation("x", Reason.BAD_SYNTAX).status == 400


def test_faults_of_the_peer_and_of_the_caller_share_only_their_root() -> None:
    assert issubclass(RemoteViolation, ProtocolViolation)
    assert issubclass(LocalViolation, ProtocolViolation)
    assert issubclass(ProtocolViolation, Error)
    assert not issubclass(RemoteViolation, LocalViolation)
    assert not issubclass(LocalViolation, RemoteViolation)


def test_peers_octets_make_a_remote_violation_that_says_what_where_and_the_rule() -> None:
    with pytest.raises(RemoteViolation, match=r"not a request line: b'GET  /' \(9112 §3\)") as caught:
        ServerConnection().receive(b"GET  /\r\n\r\n")
    assert caught.value.reason is Reason.BAD_SYNTAX
