"""The built-in model map: ``[models]`` of ``proxy.toml``, exact names first, then the most specific pattern.

``*`` in a name matches any text, and ``*`` in its target stands for what was matched. A target is
``"backend/model"``, or another name of ``[models]``, whose settings then hold where this one has none.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

import msgspec

from claude_max_proxy import Config, ConfigError, ModelEntry, Request, Target, hookimpl
from claude_max_proxy.config import near_miss, quoted


_LONGEST_CHAIN = 50
_ANY = "\ue000"  # stands for what a pattern would match, where a pattern is told and not asked


@hookimpl(trylast=True)
def map_model(request: Request, config: Config) -> Target | None:
    """Look the model up in ``[models]``."""
    return resolve(request.model, config)


def resolve(model: str, config: Config) -> Target | None:
    """Say what ``model`` means, or ``None`` when no line of ``[models]`` matches.

    Raises :class:`ConfigError` for names that lead in a circle or nowhere.
    """
    return _resolve(model, config, ())


def check_models(config: Config, backends: Collection[str]) -> None:
    """Follow every line of ``[models]``; raise :class:`ConfigError` for the first that leads nowhere."""
    for name, entry in config.models.items():
        path = f"models.{quoted(name)}"
        target = _target(entry, "x", config, (name,))
        for one in (target, *target.fallback):
            if one.backend not in backends:
                raise ConfigError(
                    f"{path}: there is no backend {one.backend!r}{near_miss(one.backend, backends)}"
                )


def meaning(name: str, config: Config) -> Target:
    """Say where a line of ``[models]`` leads, by its own name, which may be a pattern."""
    target = _target(config.models[name], _ANY, config, (name,))
    return msgspec.structs.replace(target, model=target.model.replace(_ANY, "*"))


def _resolve(model: str, config: Config, seen: tuple[str, ...], *, alone: bool = False) -> Target | None:
    """Follow a name; ``seen`` are the lines that led to it, ``alone`` leaves its fallbacks out."""
    line = _line_for(model, config)
    if line is None:
        return None
    if len(seen) > _LONGEST_CHAIN:
        raise ConfigError(
            f"models.{quoted(seen[0])}: it leads from name to name more than {_LONGEST_CHAIN} times"
        )
    if line not in seen:
        match = _compiled(line).fullmatch(model)
        matched = match[1] if match and "*" in line else "*"
        return _target(config.models[line], matched, config, (*seen, line), alone=alone)
    if "/" in model and "*" in line:
        return None  # a pattern for everything also matches a backend that is not there

    circle = " → ".join((*seen, line))
    raise ConfigError(f"models.{quoted(seen[0])}: the names lead in a circle: {circle}")


def _line_for(model: str, config: Config) -> str | None:
    """Return the line of ``[models]`` for a name. A pattern is not a name."""
    if "*" in model:
        return None
    if model in config.models:
        return model
    patterns = _patterns(tuple(config.models))
    return next((pattern for pattern in patterns if _compiled(pattern).fullmatch(model)), None)


def _target(
    entry: ModelEntry, matched: str, config: Config, seen: tuple[str, ...], *, alone: bool = False
) -> Target:
    target = _follow(entry.to.replace("*", matched), config, seen, alone=alone)
    # A fallback's own fallbacks are not asked, so two names may stand in for each other.
    names = [] if alone else [name.replace("*", matched) for name in entry.fallback]
    return msgspec.structs.replace(
        target,
        fallback=tuple(_follow(name, config, seen, alone=True) for name in names) or target.fallback,
        effort=entry.effort or target.effort,
        max_tokens=entry.max_tokens or target.max_tokens,
        system="\n\n".join(text for text in (entry.system, target.system) if text),
        temperature=target.temperature if entry.temperature == "auto" else entry.temperature,
        agent=entry.agent or target.agent,
    )


def _follow(to: str, config: Config, seen: tuple[str, ...], *, alone: bool) -> Target:
    """Follow a target: an exact name of ``[models]``, a backend's model, or what a pattern makes of it."""
    backend, _, model = to.partition("/")
    if to not in config.models and model and backend in config.backends:
        return Target(backend, model)
    if target := _resolve(to, config, seen, alone=alone):
        return target

    what = (
        f"there is no backend {backend!r}{near_miss(backend, config.backends)}"
        if model
        else (
            f'{to!r} is neither "backend/model", as in "claude/sonnet", nor another name'
            f"{near_miss(to, config.models)}"
        )
    )
    raise ConfigError(f"models.{quoted(seen[0])}: {what}")


def matches(pattern: str, name: str) -> bool:
    """Tell whether ``name`` is ``pattern``, in which ``*`` is any text."""
    return pattern == name or ("*" in pattern and _compiled(pattern).fullmatch(name) is not None)


@lru_cache(maxsize=16)
def _patterns(names: tuple[str, ...]) -> list[str]:
    """Return the names that are patterns, the most specific first: the one with the most text of its own."""
    patterns = [name for name in names if "*" in name]
    return sorted(patterns, key=lambda name: (name.count("*") - len(name), name.count("*"), name))


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    before, _, after = pattern.partition("*")
    rest = ".*".join(re.escape(piece) for piece in after.split("*"))
    return re.compile(f"{re.escape(before)}(.*){rest}", re.DOTALL)
