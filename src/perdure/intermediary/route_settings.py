"""Routes as they are written: in `[[gateway.routes]]` of a file, or as mappings in a program.

    [[gateway.routes]]
    host = "example.org"                                        # any, unless said
    path = "/api"                                               # all, unless said
    to = ["http://127.0.0.1:9000", "http://127.0.0.1:9001 weight=3"]
    balance = "hash"                                            # and whatever else differs from [gateway]

Beside those of `RouteSettings`, a route may set whatever concerns origins: the balance, their health, hooks,
and all that begins with `origin_`. What it does not say is as the gateway has it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from perdure.client.errors import InvalidURL
from perdure.client.urls import Origin, presentable
from perdure.config import ConfigError, Octets, Part, Section, Setting, check_settings, shown
from perdure.intermediary.balance import BalanceSettings
from perdure.intermediary.health import HealthSettings
from perdure.intermediary.hooks import load_hook
from perdure.intermediary.origin_settings import SUBJECTS as ORIGIN_SUBJECTS
from perdure.intermediary.origin_settings import OriginSettings
from perdure.intermediary.origins import parse_origin
from perdure.intermediary.routes import read_host, read_path
from perdure.intermediary.settings import (
    ORIGIN_DEFAULTS,
    ORIGIN_PREFIX,
    ROUTE_DEFAULTS,
    GatewaySettings,
    origin_settings,
)

if TYPE_CHECKING:
    from perdure.intermediary.forwarding import RequestHook, ResponseHook


@dataclass(slots=True, frozen=True, kw_only=True)
class RouteSettings:
    """Which requests a route is for, and to whom they go.

    Raises:
        ValueError: one of them is not what its type says; the message names it.
    """

    host: str = "*"
    """A host name, "*.NAME" for what is below it, or "*" for any."""
    path: str = "/"
    """Whole segments from the left; with a slash at the end, only what is below."""
    to: tuple[str, ...] = ()
    """URLs of origins, each perhaps with its weight: "http://127.0.0.1:9000 weight=3"."""
    send_host: Literal["keep", "origin"] | None = None
    """What `host` is for a gateway: whether the origin sees the client's Host, or its own name."""
    max_body: Octets | None = None
    """Content of one request → 413, where it is less than the gateway's own. none: that."""

    def __post_init__(self) -> None:
        check_settings(self)
        read_host(self.host)
        read_path(self.path)
        for text in self.to or ("",):
            read_place(text)


class Place(NamedTuple):
    """One origin of a route."""

    key: Origin
    authority: bytes
    weight: int


def read_place(text: str) -> Place:
    """Read where requests go to: a URL, perhaps with its weight, as in "http://127.0.0.1:9000 weight=3".

    Raises:
        InvalidURL: it is no such text; the message begins with "to".
    """
    url, _, rest = text.strip().partition(" ")
    name, _, number = rest.strip().partition("=")
    if rest and (name != "weight" or not re.fullmatch(r"[1-9][0-9]{0,2}", number)):
        raise InvalidURL(f'to: "URL" or "URL weight=NUMBER" (1 to 999) expected, got {presentable(text)!r}')
    if not url:
        raise InvalidURL("to: the URL of an origin expected, got none")
    try:
        return Place(*parse_origin(url), int(number or 1))
    except InvalidURL as error:
        raise InvalidURL(f"to: {error}") from None


class SideKey(NamedTuple):
    """What parts origins into sides (`OriginSide`)."""

    gateway: GatewaySettings
    client: OriginSettings
    tls: bool
    """Whether one of them is spoken to in TLS."""
    on_request: RequestHook | None
    on_response: ResponseHook | None


class Plan(NamedTuple):
    """One route, all of it checked."""

    settings: RouteSettings
    places: Sequence[Place]
    balance: BalanceSettings
    health: HealthSettings
    side: SideKey


class Defaults(NamedTuple):
    """What holds for every route that says nothing else."""

    gateway: GatewaySettings
    client: OriginSettings
    others: Mapping[str, Any]
    """Of hooks, balance and health: those that were given."""


OTHER_NAMES: Final = frozenset(
    field.name for part in ROUTE_DEFAULTS for field in dataclasses.fields(part.kind)
)
"""The names in `Defaults.others`."""


def plan_routes(routes: Sequence[Mapping[str, Any]], to: Sequence[str], defaults: Defaults) -> list[Plan]:
    """Check routes and complete them.

    Args:
        to: the origins of a further route, for all that no other is for; none, and there is no such route.

    Raises:
        TypeError: a route has a name that is no setting of routes.
        InvalidURL, ValueError: a value is not what is expected, or two routes are for the same.
    """
    plans: list[Plan] = []
    for number, route in enumerate(routes, 1):
        try:
            plans.append(_plan(route, defaults))
        except TypeError as error:
            raise TypeError(f"routes[{number}]: {error}") from None
        except InvalidURL as error:
            raise InvalidURL(f"routes[{number}].{error}") from None
        except ValueError as error:
            raise ValueError(f"routes[{number}].{error}") from None
    if to or not plans:
        plans.append(_plan({"to": tuple(to)}, defaults))
    _refuse_equals(plans)
    return plans


def _plan(route: Mapping[str, Any], defaults: Defaults) -> Plan:
    names = {field.name for field in dataclasses.fields(RouteSettings)}
    settings = RouteSettings(**{name: value for name, value in route.items() if name in names})
    others = {**defaults.others, **{name: route[name] for name in OTHER_NAMES if name in route}}
    hooks = [load_hook(name, others.get(name)) for name in ("on_request", "on_response")]
    places = [read_place(text) for text in settings.to]
    if len({place.key for place in places}) < len(places):
        raise ValueError("to: different origins expected, one is named twice")
    tls = any(place.key.scheme == "https" for place in places)
    return Plan(
        settings,
        places,
        BalanceSettings(**_fitting(BalanceSettings, others)),
        HealthSettings(**_fitting(HealthSettings, others)),
        SideKey(*_sides(route, names | OTHER_NAMES, settings, defaults), tls, *hooks),
    )


def _fitting(kind: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    return {field.name: values[field.name] for field in dataclasses.fields(kind) if field.name in values}


def _sides(
    route: Mapping[str, Any], known: Collection[str], settings: RouteSettings, defaults: Defaults
) -> tuple[GatewaySettings, OriginSettings]:
    """The settings toward the origins of a route. Raises TypeError for a name that nobody knows."""
    gateway: dict[str, Any] = {"host": settings.send_host or defaults.gateway.host}
    client: dict[str, Any] = {}
    for name, value in route.items():
        if name in known:
            continue
        if not name.startswith(ORIGIN_PREFIX):
            raise TypeError(f"no such setting of a route: {name!r}")
        if hasattr(defaults.gateway, name):
            gateway[name] = value
        else:
            client[name.removeprefix(ORIGIN_PREFIX)] = value
    own = dataclasses.replace(defaults.gateway, **gateway)
    if not client:
        return own, defaults.client
    settable = [field.name for field in dataclasses.fields(OriginSettings) if field.init]
    kept = {name: getattr(defaults.client, name) for name in settable}
    unknown = sorted(set(client) - set(kept))
    if unknown:
        raise TypeError(f"no such setting of a route: {ORIGIN_PREFIX + unknown[0]!r}")
    return own, origin_settings({**kept, **client})


def _refuse_equals(plans: Sequence[Plan]) -> None:
    seen: dict[tuple[str, bytes], int] = {}
    for number, plan in enumerate(plans, 1):
        where = (read_host(plan.settings.host), read_path(plan.settings.path))
        if where in seen:
            raise ValueError(f"routes[{number}]: host and path are those of routes[{seen[where]}]")
        seen[where] = number


# In a file.


@dataclass(frozen=True, slots=True)
class RouteTable(Section):
    """One table of `[[gateway.routes]]`."""

    def settings(self) -> dict[str, Setting]:
        """What may be set of a route: of a gateway's own settings, what is toward origins."""
        of_routes = {field.name for field in dataclasses.fields(RouteSettings)}
        of_gateways = {field.name for field in dataclasses.fields(GatewaySettings)} - of_routes
        return {
            name: setting
            for name, setting in Section.settings(self).items()
            if name not in of_gateways or name.startswith(ORIGIN_PREFIX)
        }


@dataclass(frozen=True, slots=True)
class WithRoutes(Section):
    """The table of a gateway, which may hold tables of routes."""

    def settings(self) -> dict[str, Setting]:
        """Those that are flags, too."""
        return {name: one for name, one in Section.settings(self).items() if name != "routes"}

    def check(self, values: Mapping[str, Any], source: str) -> dict[str, Any]:
        """As a section; routes are counted from 1 in errors. Raises ConfigError."""
        plain = {name: value for name, value in values.items() if name != "routes"}
        checked = Section.check(self, plain, source)
        if "routes" not in values:
            return checked
        routes = values["routes"]
        where = f"{source}: {self.name}.routes"
        if not isinstance(routes, list) or not all(isinstance(route, dict) for route in routes):
            raise ConfigError(f"{where}: tables [[{self.name}.routes]] expected, got {shown(routes)}")
        checked["routes"] = [
            dataclasses.replace(ROUTE, name=f"{self.name}.routes[{number}]").check(route, source)
            for number, route in enumerate(routes, 1)
        ]
        return checked


ROUTE: Final = RouteTable(
    "routes",
    (
        Part(RouteSettings),
        *ROUTE_DEFAULTS,
        Part(GatewaySettings),
        Part(OriginSettings, ORIGIN_PREFIX, "Toward origins", ORIGIN_DEFAULTS, ORIGIN_SUBJECTS),
    ),
)
