"""`perdure serve`: an origin server for an ASGI application or a folder."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from perdure.commands.command import Command, Read
from perdure.commands.outcome import CouldNot, Manner, name_worker, print_json, say
from perdure.config import ConfigError, Count, Part, Section, shown
from perdure.server.settings import APPLICATION_SUBJECTS, ApplicationSettings

if TYPE_CHECKING:
    from perdure.server.asgi import Application
    from perdure.server.serve import ListeningServer
    from perdure.wire.bind import BoundSocket

logger = logging.getLogger("perdure.commands")
T = TypeVar("T")
CERTIFICATE_KEYS: Final = {"certificate": "tls_cert", "key": "tls_key"}
"""What names the files that `TlsSettings` tells of."""
LASTING: Final = ("bind", "workers", "share_port")
"""Settled when the process starts: sockets are bound, and processes counted, before there is a server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Where and how a server of any kind listens."""

    bind: list[str] = field(default_factory=lambda: ["127.0.0.1:8000"], metadata={"metavar": "ADDRESS"})
    """HOST:PORT (port 0: any free one), :PORT (every address) or unix:PATH. May be repeated."""
    workers: Count = 1
    """Processes that share the addresses."""
    share_port: bool = False
    """Let a successor that is told the same listen on the addresses, too, before this one is told to end."""
    tls_cert: str | None = field(default=None, metadata={"metavar": "FILE"})
    """PEM file of the certificate and its chain: speak TLS."""
    tls_key: str | None = field(default=None, metadata={"metavar": "FILE"})
    """PEM file of the private key, where it is not in the certificate's."""

    def in_numbers(self) -> str:
        """How much it is that was set, for a person; "" where there is nothing to count."""
        return ""

    def __post_init__(self) -> None:
        if self.tls_key is not None and self.tls_cert is None:
            raise ValueError("tls_key: its certificate expected in tls_cert, got none")
        if not self.bind:
            raise ValueError("bind: at least one address expected, got none")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions(Listening):
    """What `perdure serve` has besides the settings of a server."""

    target: str = field(default=".", metadata={"argument": True, "metavar": "TARGET"})
    """An ASGI 3 application as package.module:name, or a folder."""


def run(manner: Manner, read: Read) -> int:
    """Serve until SIGTERM or SIGINT, then drain."""
    from perdure.server.serve import Server

    def make(sockets: Sequence[BoundSocket] | None, parts: tuple[Any, ...]) -> Server:
        options, settings = parts
        return Server(
            load_target(options.target),
            options.bind,
            tls_cert=options.tls_cert,
            tls_key=options.tls_key,
            sockets=sockets,
            **asdict(settings),
        )

    return run_server(manner, read, make, what=f"serving {read()[0].target}")


def run_server(
    manner: Manner,
    read: Read,
    make: Callable[[Sequence[BoundSocket] | None, tuple[Any, ...]], ListeningServer],
    what: str,
    check: Callable[[tuple[Any, ...]], None] = lambda parts: None,
) -> int:
    """Run a server of any kind until it is told to end; say where it listens, and what it did.

    Args:
        make: makes the server of one process of what `read` gives, the first part being a `Listening`.
        what: what it does, for a person.
        check: looks at what was read before anything is made of it; raises ValueError, whose message begins
            with the key of what is wrong.

    Returns:
        The exit status.
    """
    from perdure.commands.totals import Totals
    from perdure.server import process

    latest = Latest(lambda: read_checked(read, check))
    options = latest.value[0]

    def renew() -> bool:
        renewed = latest.renew()
        if renewed:
            warn_of_lasting(options, latest.value[0])
        return renewed

    def factory(sockets: Sequence[BoundSocket] | None) -> ListeningServer:
        if options.workers > 1:  # this is called in the worker
            name_worker()
        return make(sockets, latest.value)

    def announce(urls: list[str]) -> None:
        if manner.json:
            print_json({"event": "listening", "urls": urls, "process": os.getpid()})
            return
        print(f"{what} at {', '.join(urls)}", flush=True)

    with Totals() as totals:
        try:
            status = process.run(
                factory,
                announce,
                binds=options.bind,
                workers=options.workers,
                share_port=options.share_port,
                renew=renew,
                renewed=lambda: tell_reloaded(read.file, latest.value[0]),
                ended=lambda server: totals.note(server.registry),
            )
        except ValueError as error:  # an address that is none
            raise CouldNot(str(error)) from error
        totals.tell(manner)
    return status


def tell_reloaded(file: Path | None, options: Listening) -> None:
    """Say that SIGHUP has had its effect: whoever sends a signal gets no other answer."""
    with contextlib.suppress(OSError):  # nobody reads it any more
        say(": ".join(filter(None, (f"reloaded {file or ''}".rstrip(), options.in_numbers()))))


def read_checked(read: Read, check: Callable[[tuple[Any, ...]], None]) -> tuple[Any, ...]:
    """Read, and look at the parts as one. Raises ConfigError."""
    parts = read()
    try:
        check_addresses(parts[0])
        check_certificate(parts[0])
        check(parts)
    except ValueError as error:
        raise ConfigError(read.located(str(error))) from error
    return parts


def check_addresses(options: Listening) -> None:
    """Read where to listen, before anything is said or done. Raises ValueError, beginning with the key."""
    from perdure.wire.address import parse_bind

    for bind in options.bind:
        try:
            parse_bind(bind)
        except ValueError as error:
            raise ValueError(f"bind: {str(error).partition(': ')[2]}") from error


def check_certificate(options: Listening) -> None:
    """Try the files of TLS toward clients. Raises ValueError, beginning with the key of the unusable one."""
    from perdure.wire.errors import TlsSettings
    from perdure.wire.tls import server_context

    if options.tls_cert is None:
        return
    try:
        server_context(options.tls_cert, options.tls_key)
    except TlsSettings as error:
        raise ValueError(f"{CERTIFICATE_KEYS[error.file]}: {error}") from error


def warn_of_lasting(started: Listening, renewed: Listening) -> None:
    """Say which settings were read anew, and stay as they were all the same."""
    for key in LASTING:
        was, now = getattr(started, key), getattr(renewed, key)
        if was != now:
            logger.warning("%s: stays %s until a restart, though %s was read", key, shown(was), shown(now))


class Latest(Generic[T]):
    """What was read last; a file that has become faulty meanwhile is reported and changes nothing."""

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read
        self.value = read()

    def renew(self) -> bool:
        """Read anew; False if that failed and everything stays as it was."""
        try:
            self.value = self._read()
        except ConfigError as error:
            logger.error("%s; the settings stay as they were", error)
            return False
        return True


def load_target(target: str) -> Application:
    """Find the application that a target names.

    Raises:
        CouldNot: no such module, or no such application in it.
        NotAFolder: it names a folder that is none.
    """
    from perdure.server.files import folder_application

    if "://" in target:
        raise CouldNot(f"TARGET: an application or a folder expected, got {target!r}")
    if target.endswith(".py") and os.path.basename(target) == target:
        example = f"{target.removesuffix('.py')}:application"
        raise CouldNot(f"{target}: an application is named as MODULE:NAME, such as {example}")
    module_name, colon, path = target.partition(":")
    if not colon or os.path.isdir(target):
        return folder_application(target)
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    application = _attribute(_module(module_name, target), path, target)
    if not callable(application):
        kind = type(application).__name__
        raise CouldNot(f"{target}: an ASGI application expected, got an object of type {kind}")
    return application


def _module(name: str, target: str) -> object:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise CouldNot(f"{target}: no module named {error.name} (looked in {os.getcwd()} too)") from error
        raise CouldNot(f"{target}: importing it failed: {error}") from error
    except Exception as error:
        raise CouldNot(f"{target}: importing it failed: {type(error).__name__}: {error}") from error


def _attribute(found: object, path: str, target: str) -> object:
    for name in path.split("."):
        if not hasattr(found, name):
            raise CouldNot(f"{target}: {name or 'a name'} expected in it, found none of that name")
        found = getattr(found, name)
    return found


TOWARD_CLIENTS: Final = Part(ApplicationSettings, title="Toward clients", subjects=APPLICATION_SUBJECTS)
COMMAND: Final = Command(
    Section(
        "serve",
        (
            Part(ServeOptions),
            Part(ApplicationSettings, title="Toward clients", subjects=APPLICATION_SUBJECTS),
        ),
    ),
    help="Serve an ASGI application or a folder.\n\nSIGTERM and SIGINT drain: closes are announced, "
    "exchanges under way finish, and the exit status is 0. A second one stops at once. With workers, SIGHUP "
    "reads the configuration again and replaces them one by one.",
    example="perdure serve package.module:application --bind 127.0.0.1:8000 --idle-timeout 30",
    run=run,
)
