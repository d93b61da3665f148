"""`perdure gateway`: a reverse proxy in front of one or more origins."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

from perdure.commands.command import Command, Read
from perdure.commands.outcome import Manner
from perdure.commands.serve import Listening, run_server
from perdure.config import Part
from perdure.intermediary.hooks import HookSettings
from perdure.intermediary.route_settings import WithRoutes
from perdure.intermediary.settings import GATEWAY

if TYPE_CHECKING:
    from perdure.intermediary.gateway import Gateway
    from perdure.intermediary.route_settings import Plan
    from perdure.wire.bind import BoundSocket


HOOKS: Final = frozenset(field.name for field in fields(HookSettings))
ORIGIN_FILE_KEYS: Final = {
    "authorities": "origin_ca_file",
    "certificate": "origin_tls_cert",
    "key": "origin_tls_key",
}
"""What names the files that `TlsSettings` tells of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayOptions(Listening):
    """What `perdure gateway` has besides the settings of both sides."""

    to: list[str] = field(default_factory=list, metadata={"metavar": "URL"})
    """An origin to forward to, perhaps as "URL weight=3". May be repeated: requests are spread over them."""
    routes: list[dict[str, Any]] = field(default_factory=list)
    """Tables [[gateway.routes]] of the file."""

    def __post_init__(self) -> None:
        # Named, because `slots=True` makes another class, which `super()` does not know.
        Listening.__post_init__(self)
        if not self.to and not self.routes:
            raise ValueError("to: the URL of an origin expected, got none")

    def in_numbers(self) -> str:
        """The routes, that of `to` among them."""
        count = len(self.routes) + bool(self.to)
        return f"{count} {'route' if count == 1 else 'routes'}"


def run(manner: Manner, read: Read) -> int:
    """Forward until SIGTERM or SIGINT, then drain."""
    from perdure.intermediary.gateway import Gateway, plan_gateway

    def check(parts: tuple[Any, ...]) -> None:
        """What is wrong with routes is told at once, in whichever process; with hooks, where they run."""
        options = parts[0]
        settings = GATEWAY.names(parts[1:])
        routes = options.routes
        if options.workers > 1:
            routes = [_without_hooks(route) for route in routes]
            settings = _without_hooks(settings)
        plans, _ = plan_gateway(options.to, routes, settings)
        _check_files(plans, routes)

    def make(sockets: Sequence[BoundSocket] | None, parts: tuple[Any, ...]) -> Gateway:
        options = parts[0]
        return Gateway(
            to=options.to,
            routes=options.routes,
            bind=options.bind,
            tls_cert=options.tls_cert,
            tls_key=options.tls_key,
            sockets=sockets,
            **GATEWAY.names(parts[1:]),
        )

    if "" not in sys.path:
        sys.path.insert(0, "")  # where hooks are looked for, as applications are
    return run_server(manner, read, make, f"forwarding to {_where(read()[0])}", check)


def _check_files(plans: Sequence[Plan], routes: Sequence[Mapping[str, Any]]) -> None:
    """Try the files of TLS toward origins. Raises ValueError, beginning with the key of the unusable one."""
    from perdure.intermediary.arrangement import make_tls
    from perdure.wire.errors import TlsSettings

    tried = set()
    for number, plan in enumerate(plans, 1):
        if not plan.side.tls or plan.side in tried:
            continue
        tried.add(plan.side)
        try:
            make_tls(plan.side)
        except TlsSettings as error:
            key = ORIGIN_FILE_KEYS[error.file]
            own = number <= len(routes) and key in routes[number - 1]
            raise ValueError(f"routes[{number}].{key}: {error}" if own else f"{key}: {error}") from error


def _without_hooks(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in HOOKS}


def _where(options: GatewayOptions) -> str:
    """Where requests go, for a person."""
    return ", ".join([*map(_route_in_words, options.routes), *options.to])


def _route_in_words(route: Mapping[str, Any]) -> str:
    return f"{', '.join(route.get('to', ()))} ({route.get('host', '*')}{route.get('path', '/')})"


COMMAND: Final = Command(
    WithRoutes("gateway", (Part(GatewayOptions), *GATEWAY.parts)),
    help="Stand in front of origins: a reverse proxy whose connections persist on both sides.\n\nThe "
    "settings toward origins begin with --origin. SIGTERM and SIGINT drain: closes are announced, exchanges "
    "under way finish, and the exit status is 0. SIGHUP reads the configuration again: one process goes on "
    "with other routes and settings and the same connections, workers are replaced one by one. Routes by "
    "host and path are written in a file, as tables [[gateway.routes]].",
    example="perdure gateway --to http://127.0.0.1:9000 --to http://127.0.0.1:9001 --bind 127.0.0.1:8000",
    run=run,
)
