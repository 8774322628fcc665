"""The hooks of a plugin's module: found by their mark, and compared with the specifications. Pure."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from typing import Any

from claude_max_proxy import hookspecs
from claude_max_proxy.config import near_miss
from claude_max_proxy.errors import ConfigError


_IMPLEMENTATION = f"{hookspecs.PROJECT}_impl"
_SPECIFICATION = f"{hookspecs.PROJECT}_spec"
HOOKS: dict[str, Callable[..., Any]] = {
    name: function for name, function in vars(hookspecs).items() if hasattr(function, _SPECIFICATION)
}


def marked(module: Any) -> dict[str, Callable[..., Any]]:
    """Return the functions that are marked with ``hookimpl``, by the name of the hook that they implement."""
    found = {}
    for name, function in _routines(module).items():
        options = getattr(function, _IMPLEMENTATION, None)
        if isinstance(options, dict):
            found[options.get("specname") or name] = function
    return found


def check_marked(module: Any, whose: str) -> None:
    """Raise :class:`ConfigError` for a hook that does not exist, or an argument that a hook does not have."""
    for name, function in marked(module).items():
        if name not in HOOKS:
            raise ConfigError(f"{whose}: there is no hook {name!r}{near_miss(name, HOOKS)}")

        known = inspect.signature(HOOKS[name]).parameters
        for argument in inspect.signature(function).parameters.values():
            required = argument.default is argument.empty and argument.kind is argument.POSITIONAL_OR_KEYWORD
            if required and argument.name not in known:
                miss = near_miss(argument.name, known)
                raise ConfigError(f"{whose}: the hook {name} has no argument {argument.name!r}{miss}")


def without_hooks(module: Any) -> str:
    """Return what to do about a module without hooks, or an empty text if it has some."""
    if marked(module):
        return ""

    remedy = "mark a function that has the name of a hook with claude_max_proxy.hookimpl"
    for name in _routines(module):
        if close := difflib.get_close_matches(name, HOOKS, n=1, cutoff=0.8):
            remedy = f"mark {name!r} with claude_max_proxy.hookimpl"
            return remedy if name in HOOKS else f"{remedy}, and call it {close[0]!r}"
    return f"{remedy}, or let the name of the file begin with an underscore"


def _routines(module: Any) -> dict[str, Callable[..., Any]]:
    """Return the functions of a module, as pluggy finds them: it leaves properties of objects alone, too."""
    names = [name for name in dir(module) if not isinstance(getattr(type(module), name, None), property)]
    found = {name: getattr(module, name, None) for name in names}
    return {name: value for name, value in found.items() if inspect.isroutine(value)}
