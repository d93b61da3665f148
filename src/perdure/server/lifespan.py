"""The ASGI lifespan protocol: start-up before the first connection, shutdown after the last."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from perdure.core import Error
from perdure.server.asgi import Application, Message
from perdure.server.registry import CANCELLING_SECONDS

logger = logging.getLogger("perdure.server")


class StartupFailed(Error):
    """The application said that it could not start."""


class Lifespan:
    """One application's lifespan.

    Attributes:
        state: what the application put there at start-up; each request gets a shallow copy.
        supported: True once the application has said that it started.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self.state: dict[str, Any] = {}
        self.supported = False
        self._to_application: asyncio.Queue[Message] = asyncio.Queue()
        self._asked = ""
        self._answer: asyncio.Future[Message | None] | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Tell the application to start, and wait until it has.

        An application that does not know the protocol raises at once; it is served all the same.

        Raises:
            StartupFailed: it answered `lifespan.startup.failed`.
        """
        self._task = asyncio.get_running_loop().create_task(self._run())
        try:
            answer = await self._tell("lifespan.startup")
        except BaseException:
            await self._end()
            raise
        if answer is None:
            return
        if answer["type"] == "lifespan.startup.failed":
            await self._end()
            raise StartupFailed(f"the application failed to start: {answer.get('message', '')}")
        self.supported = True

    async def stop(self) -> None:
        """Tell the application to shut down, and wait until it has."""
        try:
            if self.supported:
                answer = await self._tell("lifespan.shutdown")
                if answer is not None and answer["type"] == "lifespan.shutdown.failed":
                    logger.error("the application failed to shut down: %s", answer.get("message", ""))
        finally:
            self.supported = False
            await self._end()

    async def _end(self) -> None:
        """Let the application's task end; make it end where it does not."""
        task, self._task = self._task, None
        if task is not None:
            await asyncio.sleep(0)  # it has answered, and is about to return
            task.cancel()
            if not (await asyncio.wait([task], timeout=CANCELLING_SECONDS))[0]:
                logger.error("the application's lifespan goes on although it was cancelled")

    async def _tell(self, kind: str) -> Message | None:
        """Send one message; None if the application has ended instead of answering."""
        if self._task is None or self._task.done():
            return None
        self._asked = kind
        self._answer = asyncio.get_running_loop().create_future()
        self._task.add_done_callback(self._ended)
        self._to_application.put_nowait({"type": kind})
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
                logger.debug("the application has no lifespan: %r", error)

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if kind not in (f"{self._asked}.complete", f"{self._asked}.failed"):
            # So ends an application that takes every scope for a request: it knows no lifespan.
            raise RuntimeError(f"{kind} does not answer {self._asked}")
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(message)
