"""Errors say what and where, and carry a Reason."""

from __future__ import annotations

import errno
import ssl

import pytest

from perdure.core.errors import Error
from perdure.core.reason import Reason
from perdure.wire import errors


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (TimeoutError(), errors.ConnectTimeout, "a:1: no connection within 2 s"),
        (
            ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
            errors.ConnectFailed,
            "a:1: connecting failed: Connection refused",
        ),
        (OSError(), errors.ConnectFailed, "a:1: connecting failed: OSError"),
    ],
)
def test_what_stops_a_connection_is_translated(error: OSError, kind: type, text: str) -> None:
    translated = errors.connect_error(error, "a:1", 2.0)
    assert type(translated) is kind
    assert str(translated) == text
    assert isinstance(translated, Error)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), errors.PeerReset),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), errors.PeerReset),
        (TimeoutError(errno.ETIMEDOUT, "Connection timed out"), errors.PeerReset),
        (ssl.SSLError(1, "bad record"), errors.PeerReset),
        (OSError(errno.EIO, "Input/output error"), errors.WireError),
    ],
)
def test_what_ends_a_connection_is_translated(error: OSError, kind: type) -> None:
    translated = errors.lost_error(error, "a:1")
    assert type(translated) is kind
    assert str(translated).startswith("a:1: ")
    assert translated.reason is Reason.PEER_RESET
    assert errors.lost_error(translated, "b:2") is translated
