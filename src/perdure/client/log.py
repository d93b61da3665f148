"""One line in the log for the beginning, and one for the end, of each pooled connection.

    connection 1 to http://127.0.0.1:8000: opened
    connection 1 to http://127.0.0.1:8000: closed after 12 requests: idle limit reached (9112 §9.5)

Per connection, never per request; the logger is `perdure.client`, the level DEBUG. RFC 9112 §9.5, §9.6.
"""

from __future__ import annotations

import logging
from typing import Any

from perdure.core.pool import Entry
from perdure.core.reason import Reason

logger = logging.getLogger("perdure.client")


def log_opened(entry: Entry[Any]) -> None:
    """Tell of a connection that has come about."""
    logger.debug("connection %d to %s: opened", entry.number, entry.origin)


def log_closed(entry: Entry[Any], reason: Reason) -> None:
    """Tell of a connection that the ledger has given up, and why."""
    uses = entry.uses
    noun = "request" if uses == 1 else "requests"
    logger.debug(
        "connection %d to %s: closed after %d %s: %s", entry.number, entry.origin, uses, noun, reason
    )
