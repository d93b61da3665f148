"""The ASGI lifespan protocol: start-up before the first connection, shutdown after the last."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from perdure.core import Error
from perdure.server.asgi import Application, Message

logger = logging.getLogger("perdure.server")


class StartupFailed(Error):
    """The application said that it could not start."""


class Lifespan:
    """One application's lifespan.

    Attributes:
        state: what the application put there at start-up; each request gets a shallow copy.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self.state: dict[str, Any] = {}
        self.supported = False
        self._to_application: asyncio.Queue[Message] = asyncio.Queue()
        self._answer: asyncio.Future[Message | None] | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Tell the application to start, and wait until it has.

        An application that does not know the protocol raises at once; it is served all the same.

        Raises:
            StartupFailed: it answered `lifespan.startup.failed`.
        """
        self._task = asyncio.get_running_loop().create_task(self._run())
        answer = await self._tell("lifespan.startup")
        if answer is None:
            return
        if answer["type"] == "lifespan.startup.failed":
            raise StartupFailed(f"the application failed to start: {answer.get('message', '')}")
        self.supported = True

    async def stop(self) -> None:
        """Tell the application to shut down, and wait until it has."""
        if self.supported:
            answer = await self._tell("lifespan.shutdown")
            if answer is not None and answer["type"] == "lifespan.shutdown.failed":
                logger.error("the application failed to shut down: %s", answer.get("message", ""))
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _tell(self, kind: str) -> Message | None:
        """Send one message; None if the application has ended instead of answering."""
        if self._task is None:
            return None
        self._answer = asyncio.get_running_loop().create_future()
        await self._to_application.put({"type": kind})
        self._task.add_done_callback(self._ended)
        return await self._answer

    def _ended(self, _task: asyncio.Task[None]) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(None)

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._application(scope, self._to_application.get, self._send)
        except Exception as error:  # any error before the answer means: lifespan is not supported
            if self.supported:
                logger.exception("the application raised in its lifespan")
            else:
                logger.debug("no lifespan: %r", error)

    async def _send(self, message: Message) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(message)
