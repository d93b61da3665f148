"""The access log: one line for each exchange, one for each connection's end with its reason.

    127.0.0.1 - - [22/Nov/2026:00:31:00 +0000] "GET / HTTP/1.1" 200 11 "-" "curl/8" 7 3 0.000412
    # connection 7 closed after 3 requests, 75.9 s idle: idle limit reached (9112 §9.5)

The first is the combined format with three words added: the connection, the number of the
request on it, and the seconds it took. As JSON both are objects, told apart by "event".

Each worker counts its connections from 1. Where there are several, the connection is named by its worker too:
"4711-7" in text, beside "process": 4711 in JSON.

Nothing is formatted while requests are answered: records are kept and written in batches, a moment
later, by one timer that runs only while there is something to write.
"""

from __future__ import annotations

import asyncio
import re
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Literal, NamedTuple

import msgspec

from perdure.core import Error, FieldLine, Reason, Request, Response, ServerConnection
from perdure.wire.address import Address
from perdure.wire.clock import local_time, wall_clock

BATCH_SECONDS: Final = 0.25
"""How long a record waits for others."""
BATCH_RECORDS: Final = 1024
"""As many are written at once, however short they have waited."""

Format = Literal["combined", "json"]
NO_WORKER: Final[Mapping[str, object]] = types.MappingProxyType({})
"""Where one process serves alone."""

_UNSAFE: Final = re.compile(r"[^ !#-\[\]-~]")


class ExchangeRecord(NamedTuple):
    """One exchange."""

    at: float
    """Wall clock, seconds: when the response was complete."""
    client: Address
    request: Request
    status: int
    octets: int
    """Of response content."""
    connection: int
    number: int
    """Of the request on its connection, from 1."""
    seconds: float
    """From the head of the request to the end of the response."""


class CloseRecord(NamedTuple):
    """The end of one connection."""

    at: float
    client: Address
    connection: int
    requests: int
    idle_seconds: float
    reason: Reason


CLIENT_GONE: Final = 499
"""The status written where the client went before a response began (nginx)."""


class NotedConnection(ServerConnection):
    """A protocol that notes what it sent; only connections that are logged pay for it.

    Attributes:
        status: of the last response, CLIENT_GONE before there is one.
        octets: of its content.
    """

    __slots__ = ("octets", "status")

    def forget(self) -> None:
        """A new exchange begins."""
        self.status = CLIENT_GONE
        self.octets = 0

    def send_whole(self, head: Request | Response, content: bytes = b"") -> bytes:
        """As `Connection.send_whole`."""
        octets = super().send_whole(head, content)
        if isinstance(head, Response):
            self.status = head.status
        self.octets = 0 if self._outgoing.silent else len(content)
        return octets

    def _send_head(self, head: Request | Response, length: int | None) -> bytes:
        octets = super()._send_head(head, length)
        if isinstance(head, Response):
            self.status = head.status
        return octets

    def _send_content(self, octets: bytes, end: bool, trailers: Sequence[FieldLine]) -> bytes:
        written = super()._send_content(octets, end, trailers)
        if written:
            self.octets += len(octets)
        return written


class AccessLog:
    """Collects records and writes them in batches.

    Args:
        write: takes text of whole lines; must not block for long.
        form: "combined" or "json".
        release: called by `close`, such as a file's `close`.
    """

    __slots__ = ("_form", "_format", "_records", "_release", "_timer", "_write")

    def __init__(
        self,
        write: Callable[[str], object],
        form: Format = "combined",
        release: Callable[[], object] | None = None,
    ) -> None:
        self._write = write
        self._release = release
        self._form = form
        self._format = _FORMATS[form](None)
        self._records: list[ExchangeRecord | CloseRecord] = []
        self._timer: asyncio.TimerHandle | None = None

    def name_worker(self, process: int) -> None:
        """From now on, name the worker with each connection: others write beside us, and count from 1 too."""
        self._format = _FORMATS[self._form](process)

    def note(self, record: ExchangeRecord | CloseRecord) -> None:
        """Keep a record; it is written within BATCH_SECONDS."""
        self._records.append(record)
        if len(self._records) >= BATCH_RECORDS:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(BATCH_SECONDS, self.flush)

    def flush(self) -> None:
        """Write what is kept."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        records, self._records = self._records, []
        if records:
            self._write("".join([self._format(record) for record in records]))

    def close(self) -> None:
        """Write what is kept, and release what is written to; records that still come are dropped."""
        self.flush()
        self._write = len
        if self._release is not None:
            self._release()
            self._release = None

    @staticmethod
    def now() -> float:
        """The time for a record: wall clock, seconds."""
        return wall_clock()


def open_access_log(form: Literal["off", "combined", "json"], file: Path | None) -> AccessLog | None:
    """Make the access log that the settings ask for, None for "off".

    Several processes may append to one file: each batch is one write.

    Raises:
        Error: the file cannot be opened for appending.
    """
    if form == "off":
        return None
    if file is None:
        return AccessLog(_to_standard_output, form)
    try:
        appending = file.open("ab", buffering=0)
    except OSError as error:
        raise Error(f"cannot append the access log to {file}: {error.strerror}") from None
    return AccessLog(lambda text: appending.write(text.encode()), form, appending.close)


def _to_standard_output(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def host_of(client: Address) -> str:
    """The host of an address, or the path of a unix socket; "-" where unknown."""
    if isinstance(client, tuple):
        return client[0]
    return f"unix:{client}" if client else "-"


def _escaped(octets: bytes) -> str:
    """Text for between quotes: what could end it, or a terminal obeys, becomes \\xHH."""
    return _UNSAFE.sub(lambda match: f"\\x{ord(match[0]):02x}", octets.decode("latin-1"))


def _field(request: Request, name: bytes) -> bytes:
    return next((line.value for line in request.fields if line.lowered == name), b"-")


def _request_line(request: Request) -> bytes:
    return b"%b %b HTTP/%d.%d" % (request.method, request.target, *request.version)


def combined(record: ExchangeRecord | CloseRecord, worker: str = "") -> str:
    """One record in the combined format, with its line end; `worker` is put before the connection."""
    if isinstance(record, CloseRecord):
        return (
            f"# connection {worker}{record.connection} closed after {record.requests} requests,"
            f" {record.idle_seconds:.1f} s idle: {record.reason}\n"
        )
    request = record.request
    return (
        f"{host_of(record.client)} - - [{local_time(record.at)}] "
        f'"{_escaped(_request_line(request))}" {record.status} {record.octets} '
        f'"{_escaped(_field(request, b"referer"))}" "{_escaped(_field(request, b"user-agent"))}" '
        f"{worker}{record.connection} {record.number} {record.seconds:.6f}\n"
    )


def as_json(record: ExchangeRecord | CloseRecord, worker: Mapping[str, object] = NO_WORKER) -> str:
    """One record as a JSON object, with its line end; `worker` is put before the connection."""
    common = {
        "at": record.at,
        "client": host_of(record.client),
        **worker,
        "connection_number": record.connection,
    }
    if isinstance(record, CloseRecord):
        document: dict[str, object] = {
            "event": "close",
            **common,
            "requests": record.requests,
            "idle_seconds": round(record.idle_seconds, 3),
            "reason": record.reason.word,
            "sentence": str(record.reason),
        }
    else:
        request = record.request
        document = {
            "event": "exchange",
            **common,
            "number": record.number,
            "method": request.method.decode("latin-1"),
            "target": request.target.decode("latin-1"),
            "version": "{}.{}".format(*request.version),
            "status": record.status,
            "octets": record.octets,
            "seconds": round(record.seconds, 6),
            "referer": _field(request, b"referer").decode("latin-1"),
            "user_agent": _field(request, b"user-agent").decode("latin-1"),
        }
    return msgspec.json.encode(document).decode() + "\n"


# What names the worker is made once for each process, not for each record.


def _combined_of(process: int | None) -> Callable[[ExchangeRecord | CloseRecord], str]:
    return combined if process is None else partial(combined, worker=f"{process}-")


def _json_of(process: int | None) -> Callable[[ExchangeRecord | CloseRecord], str]:
    return as_json if process is None else partial(as_json, worker={"process": process})


_FORMATS: Final[dict[Format, Callable[[int | None], Callable[[ExchangeRecord | CloseRecord], str]]]] = {
    "combined": _combined_of,
    "json": _json_of,
}
"""What makes a line, by the process of a worker; None where there are no others."""
