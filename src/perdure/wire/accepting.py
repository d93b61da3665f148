"""When there is no descriptor for another connection: it waits in the queue, and the log says so seldom.

The standard event loop reports each accept that fails, about a hundred a second, with a traceback. Its
exception handler is asked first here; whatever else it is told goes on to where it went before. uvloop
says nothing of it.

Source: accept(2), EMFILE, ENFILE, ENOBUFS and ENOMEM.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from perdure.wire.seldom import Seldom, how_often

logger = logging.getLogger("perdure.wire")

Handler: TypeAlias = "Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object]"
OUT_OF_RESOURCES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class AcceptFailures:
    """An exception handler of an event loop: counts the accepts that fail.

    Args:
        before: the handler that has everything else; None for the event loop's own.
    """

    def __init__(self, before: Handler | None) -> None:
        self._before = before
        self._seldom = Seldom()

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Take what the event loop reports."""
        error = context.get("exception")
        if isinstance(error, OSError) and error.errno in OUT_OF_RESOURCES and "socket" in context:
            if times := self._seldom.note(error.errno, loop.time()):
                logger.warning(
                    "a connection cannot be accepted and waits: %s%s", error.strerror, how_often(times)
                )
        elif self._before is not None:
            self._before(loop, context)
        else:
            loop.default_exception_handler(context)


def count_accept_failures(loop: asyncio.AbstractEventLoop) -> None:
    """Have this event loop's accepts that fail counted. Idempotent."""
    before = loop.get_exception_handler()
    if not isinstance(before, AcceptFailures):
        loop.set_exception_handler(AcceptFailures(before))
