"""A response that is read piece by piece with blocking sockets.

RFC 9112 §6, §9.3 (a client reads the whole response, or closes).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from perdure.client.blocking_runner import BlockingRunner
from perdure.client.decoding import decoder_of
from perdure.client.effects import CONTENT
from perdure.client.errors import ExchangeError, ResponseConsumed
from perdure.client.failures import ResponseAbandoned
from perdure.client.models import Response
from perdure.client.text import Lines, TextDecoder
from perdure.wire.blocking import StreamWire


class StreamedResponse(Response):
    """A response whose content is read piece by piece, once.

    Attributes: as of `Response`; `content` and `text` after `read`.
    """

    __slots__ = ("_ended", "_runner")

    def __init__(self, url: str, runner: BlockingRunner) -> None:
        exchange = runner.exchange
        assert exchange.response is not None
        super().__init__(url, exchange.response, exchange.use, exchange.interims)
        self.asked = exchange.asked
        self._runner = runner
        self._ended = False

    @property
    def wire(self) -> StreamWire:
        """What it comes over, for those who look: whose it is once the response is read, nobody knows."""
        return self._runner.wire

    def iter_raw(self) -> Iterator[bytes]:
        """The content as it was sent, piece by piece.

        Raises:
            ResponseConsumed: it was read or closed before.
            ExchangeError: it broke off; what came so far is not all of it.
        """
        if self._ended:
            raise ResponseConsumed("the content of this response was read, or the response was closed")
        runner = self._runner
        try:
            while (effect := runner.advance()) is not None:
                if effect[0] == CONTENT:
                    yield effect[1].octets
        except ExchangeError:
            self._ended = True
            raise
        self._ended = True
        self.trailers = runner.exchange.trailers

    def iter_bytes(self) -> Iterator[bytes]:
        """The content piece by piece, content codings undone. Raises as `iter_raw`, and DecodingError."""
        decoder = decoder_of(self.fields)
        if decoder is None:
            yield from self.iter_raw()
            return
        for octets in self.iter_raw():
            yield from decoder.decode(octets)
        decoder.finish()

    def iter_text(self) -> Iterator[str]:
        """The content piece by piece as text; what does not fit the charset is replaced. Raises as above."""
        decoder = TextDecoder(self.encoding)
        for octets in self.iter_bytes():
            if text := decoder.decode(octets):
                yield text
        if rest := decoder.finish():
            yield rest

    def iter_lines(self) -> Iterator[str]:
        """The content line by line, without line ends (LF, CR or CRLF). Raises as `iter_bytes`."""
        lines = Lines()
        for text in self.iter_text():
            yield from lines.split(text)
        yield from lines.finish()

    @property
    def downloaded_octets(self) -> int:
        """Octets of content that have arrived so far, content coding and all."""
        return self._runner.exchange.content_octets

    def read(self) -> bytes:
        """Read all of the content; `content`, `text` and `json` work afterwards. Raises as `iter_raw`."""
        if self._content is None:
            self._content = b"".join(self.iter_raw())
        return self.content

    def close(self) -> None:
        """End the exchange: what is left of the content is read and dropped if it is little."""
        if self._ended:
            return
        self._ended = True
        runner = self._runner
        if not runner.exchange.abandon():
            runner.close()
            return
        with suppress(ExchangeError, ResponseAbandoned):
            while runner.advance() is not None:
                pass

    def end_now(self) -> None:
        """End the exchange and, unless it is over, its connection."""
        if not self._ended:
            self._ended = True
            self._runner.close()
