"""Checks that what a plugin registers is a backend or a dialect, without a misspelt member. Pure."""

from __future__ import annotations

import difflib

from claude_max_proxy.errors import ConfigError


# How similar a name must be to a member's to count as its misspelling: `honors` is one, `models` is none.
_ALIKE = 0.71


def check_members(given: object, base: type, whose: str) -> None:
    """Raise :class:`ConfigError` if ``given`` does not derive from ``base`` or misspells one of its members.

    ``given`` is an object or a class. It may have any further members, unless the name of one is close to
    that of a member that it lacks. ``whose`` begins the message.
    """
    kind = given if isinstance(given, type) else type(given)
    noun = base.__name__.lower()
    declared = set(base.__annotations__)
    if base not in kind.__mro__:
        raise ConfigError(
            f"{whose}: {kind.__qualname__} is no {noun}: derive it from {base.__module__}.{base.__qualname__}"
        )

    above = _names(base) | declared
    own = {name for one in kind.__mro__ if one not in base.__mro__ for name in vars(one)}
    own |= set() if given is kind else set(vars(given))
    lacking = {_plain(name): name for name in above - own}
    for name in sorted(name for name in own - above if not name.startswith("_")):
        if close := difflib.get_close_matches(_plain(name), lacking, n=1, cutoff=_ALIKE):
            raise ConfigError(
                f"{whose}: {kind.__qualname__}.{name} is nothing that a {noun} has; did you mean "
                f"{lacking[close[0]]!r}? A name of its own begins with an underscore"
            )
    if given is not kind and (missing := sorted(name for name in declared if not hasattr(given, name))):
        raise ConfigError(f"{whose}: it lacks {missing[0]!r}, which every {noun} has")


def _names(base: type) -> set[str]:
    """Name the public members of a class."""
    return {name for one in base.__mro__ for name in vars(one) if not name.startswith("_")}


def _plain(name: str) -> str:
    """Write a name without what differs between customs of writing names."""
    return name.replace("_", "").lower()
