"""Functions of the user's own that look at messages, named in a configuration as "module:function".

What they are called with, and when, is in `forwarding`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from perdure.config import check_settings

Hook: TypeAlias = Callable[..., Any]


@dataclass(slots=True, frozen=True, kw_only=True)
class HookSettings:
    """Functions of the user's own, by name.

    Raises:
        ValueError: one of them is not what its type says; the message names it.
    """

    on_request: str | None = field(default=None, metadata={"metavar": "MODULE:NAME"})
    """Function called with every request as it is about to leave; a Response that it returns answers it."""
    on_response: str | None = field(default=None, metadata={"metavar": "MODULE:NAME"})
    """Function called with every final response before it is handed on."""

    def __post_init__(self) -> None:
        check_settings(self)


def load_hook(setting: str, hook: Hook | str | None) -> Hook | None:
    """Find the function that a setting names; one that is no name is it already.

    Args:
        setting: its name, for the error.
        hook: "module:function" or "module:object.method", a function, or None.

    Raises:
        ValueError: there is no such module, or no such function in it; the message begins with the setting.
    """
    if not isinstance(hook, str):
        return hook
    module_name, colon, path = hook.partition(":")
    if not colon or not path:
        raise ValueError(f"{setting}: MODULE:NAME expected, got {hook!r}")
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:  # whatever the module does as it is imported
        raise ValueError(
            f"{setting}: {hook}: importing it failed: {type(error).__name__}: {error}"
        ) from error
    for name in path.split("."):
        if not hasattr(found, name):
            raise ValueError(f"{setting}: {hook}: {name or 'a name'} expected in it, found none of that name")
        found = getattr(found, name)
    if not callable(found):
        raise ValueError(
            f"{setting}: {hook}: a function expected, got an object of type {type(found).__name__}"
        )
    hooked: Hook = found
    return hooked
