"""A response that is read piece by piece on an event loop.

RFC 9112 §6, §9.3 (a client reads the whole response, or closes).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress

from perdure.client.decoding import decoder_of
from perdure.client.effects import CONTENT
from perdure.client.errors import ExchangeError, ResponseConsumed
from perdure.client.failures import ResponseAbandoned
from perdure.client.loop_runner import LoopRunner
from perdure.client.loop_wire import ClientWire
from perdure.client.models import Response
from perdure.client.text import Lines, TextDecoder


class AsyncStreamedResponse(Response):
    """A response whose content is read piece by piece, once.

    Attributes: as of `Response`; `content` and `text` after `aread`.
    """

    __slots__ = ("_ended", "_runner")

    def __init__(self, url: str, runner: LoopRunner) -> None:
        exchange = runner.exchange
        assert exchange.response is not None
        super().__init__(url, exchange.response, exchange.use, exchange.interims)
        self.asked = exchange.asked
        self._runner = runner
        self._ended = False

    @property
    def wire(self) -> ClientWire:
        """What it comes over, for those who look: whose it is once the response is read, nobody knows."""
        return self._runner.wire

    async def aiter_raw(self) -> AsyncIterator[bytes]:
        """The content as it was sent, piece by piece.

        Raises:
            ResponseConsumed: it was read or closed before.
            ExchangeError: it broke off; what came so far is not all of it.
        """
        if self._ended:
            raise ResponseConsumed("the content of this response was read, or the response was closed")
        runner = self._runner
        try:
            while (effect := await runner.advance()) is not None:
                if effect[0] == CONTENT:
                    yield effect[1].octets
        except ExchangeError:
            self._ended = True
            raise
        self._ended = True
        self.trailers = runner.exchange.trailers

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        """The content piece by piece, content codings undone. Raises as `aiter_raw`, and DecodingError."""
        decoder = decoder_of(self.fields)
        async for octets in self.aiter_raw():
            if decoder is None:
                yield octets
                continue
            for piece in decoder.decode(octets):
                yield piece
        if decoder is not None:
            decoder.finish()

    async def aiter_text(self) -> AsyncIterator[str]:
        """The content piece by piece as text; what does not fit the charset is replaced. Raises as above."""
        decoder = TextDecoder(self.encoding)
        async for octets in self.aiter_bytes():
            if text := decoder.decode(octets):
                yield text
        if rest := decoder.finish():
            yield rest

    async def aiter_lines(self) -> AsyncIterator[str]:
        """The content line by line, without line ends (LF, CR or CRLF). Raises as `aiter_bytes`."""
        lines = Lines()
        async for text in self.aiter_text():
            for line in lines.split(text):
                yield line
        for line in lines.finish():
            yield line

    @property
    def downloaded_octets(self) -> int:
        """Octets of content that have arrived so far, content coding and all."""
        return self._runner.exchange.content_octets

    async def aread(self) -> bytes:
        """Read all of the content; `content`, `text` and `json` work afterwards. Raises as `aiter_raw`."""
        if self._content is None:
            pieces = [octets async for octets in self.aiter_raw()]
            self._content = b"".join(pieces)
        return self.content

    async def aclose(self) -> None:
        """End the exchange: what is left of the content is read and dropped if it is little."""
        if self._ended:
            return
        self._ended = True
        runner = self._runner
        if not runner.exchange.abandon():
            runner.close()
            return
        with suppress(ExchangeError, ResponseAbandoned):
            while await runner.advance() is not None:
                pass

    def end_now(self) -> None:
        """End the exchange and, unless it is over, its connection."""
        if not self._ended:
            self._ended = True
            self._runner.close()
