"""`perdure proxy`: a forward proxy."""

from __future__ import annotations

import getpass
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from perdure.commands.command import Command, Read
from perdure.commands.outcome import CouldNot, Manner, print_json
from perdure.commands.serve import Listening, run_server
from perdure.config import Part, Section
from perdure.intermediary.proxy_settings import PROXY

if TYPE_CHECKING:
    from perdure.intermediary.proxy import Proxy
    from perdure.wire.bind import BoundSocket

logger = logging.getLogger("perdure.commands")
MOST_PASSWORD_OCTETS: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyOptions(Listening):
    """What `perdure proxy` has besides the settings of both sides."""

    bind: list[str] = field(default_factory=lambda: ["127.0.0.1:3128"], metadata={"metavar": "ADDRESS"})
    """HOST:PORT (port 0: any free one), :PORT (every address) or unix:PATH. May be repeated."""
    hash_password: bool = False
    """Read a password from the terminal, or a line of standard input, print its hash for --auth, and exit."""


def run(manner: Manner, read: Read) -> int:
    """Forward until SIGTERM or SIGINT, then drain; or print the hash of a password."""
    options = read()[0]
    if options.hash_password:
        return print_hash(manner)

    from perdure.intermediary.proxy import Proxy

    if "" not in sys.path:
        sys.path.insert(0, "")  # where hooks are looked for, as applications are

    def check(parts: tuple[Any, ...]) -> None:
        """Once all else is in order."""
        warn_of_strangers(parts[0].bind, parts[1].auth)

    def make(sockets: Sequence[BoundSocket] | None, parts: tuple[Any, ...]) -> Proxy:
        options = parts[0]
        return Proxy(
            bind=options.bind,
            tls_cert=options.tls_cert,
            tls_key=options.tls_key,
            sockets=sockets,
            **PROXY.names(parts[1:]),
        )

    return run_server(manner, read, make, what="forward proxy", check=check)


def warn_of_strangers(binds: Sequence[str], users: Sequence[str]) -> None:
    """Say so where anybody who reaches an address may use the proxy."""
    for bind in () if users else binds:
        if not bind.startswith(("127.", "[::1]:", "localhost:", "unix:")):
            logger.warning("%s: whoever reaches it may use this proxy: no --auth was given", bind)


def print_hash(manner: Manner) -> int:
    """Read a password and print its hash.

    Raises:
        CouldNot: there is none, or it was not the same twice.
    """
    from perdure.intermediary.passwords import hash_password

    hashed = str(hash_password(_read_password()))
    if manner.json:
        print_json({"hash": hashed})
    else:
        print(hashed)
    return 0


def _read_password() -> str:
    if sys.stdin.isatty():
        password = getpass.getpass("Password: ")
        if password and getpass.getpass("Once more: ") != password:
            raise CouldNot("--hash-password: the same password twice expected, got two")
    else:
        password = sys.stdin.readline(MOST_PASSWORD_OCTETS).rstrip("\r\n")
    if not password:
        raise CouldNot("--hash-password: a password expected on standard input, got none")
    return password


COMMAND: Final = Command(
    Section("proxy", (Part(ProxyOptions), *PROXY.parts)),
    help="Forward for clients that are told to use it: http by absolute-form, everything else by CONNECT.\n\n"
    "It goes to public addresses only, unless --allow says more. The settings toward origins begin with "
    "--origin. SIGTERM and SIGINT drain: closes are announced, exchanges under way finish, tunnels end "
    "within --drain-timeout, and the exit status is 0. SIGHUP reads the configuration again: one "
    "process goes on with other rules and the same clients and tunnels, workers are replaced one by one.",
    example="perdure proxy --bind 127.0.0.1:3128 --allow 10.0.0.0/8 --connect-ports 443,8443",
    run=run,
)
