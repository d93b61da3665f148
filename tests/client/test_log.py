"""The story of pooled connections in the log."""

from __future__ import annotations

import logging

import pytest

from perdure.client.log import log_closed, log_opened
from perdure.client.urls import Origin
from perdure.core.pool import Entry
from perdure.core.reason import Reason


def test_beginning_and_end_are_a_line_each(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "perdure.client")
    entry: Entry[None] = Entry(7, Origin("http", "a.test", 80), None, 0.0)
    log_opened(entry)
    entry.uses = 1
    log_closed(entry, Reason.IDLE_LIMIT)
    entry.uses = 12
    log_closed(entry, Reason.DRAIN)
    assert caplog.messages == [
        "connection 7 to http://a.test:80: opened",
        "connection 7 to http://a.test:80: closed after 1 request: idle limit reached (9112 §9.5)",
        "connection 7 to http://a.test:80: closed after 12 requests: shutting down (9112 §9.6)",
    ]
