"""The built-in model map: ``[models]`` in ``proxy.toml``. Exact names come first, then specific patterns.

``*`` in a name matches any text, and ``*`` in its target stands for the text that was matched. A target is
``"backend/model"`` or another name in ``[models]``, whose settings then apply where this line has none.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from claude_max_proxy import Config, ConfigError, ModelEntry, Request, Target, hookimpl, near_miss, quoted
from claude_max_proxy.formats import shown, wildcard_text


_LONGEST_CHAIN = 50
_MOST_KNOWN = 16
_ANY = "\ue000"  # stands for the text that a pattern would match, where a pattern is described and not used


@hookimpl(trylast=True)
def map_model(request: Request, config: Config) -> Target | None:
    """Return the target of the request's model in ``[models]``, if it is there."""
    return resolve(request.model, config)


def resolve(model: str, config: Config) -> Target | None:
    """Return the target of ``model``, or ``None`` if no line of ``[models]`` matches.

    Raises :class:`ConfigError` if names lead in a circle, or to something that does not exist.
    """
    return _resolve(model, config, ())


def check_models(config: Config, backends: Collection[str]) -> None:
    """Check where each line of ``[models]`` leads.

    Raises :class:`ConfigError` for all that lead in a circle, or to something that does not exist.
    """
    mistakes: list[str] = []
    for name, entry in config.models.items():
        try:
            target = _target(entry, "x", config, (name,))
        except ConfigError as error:
            mistakes += error.messages
            continue

        mistakes += (
            f"models.{quoted(name)}: there is no backend {one.backend!r}{near_miss(one.backend, backends)}"
            for one in (target, *target.fallback)
            if one.backend not in backends
        )
    if mistakes:
        raise ConfigError(*dict.fromkeys(mistakes))


def meaning(name: str, config: Config) -> Target:
    """Return the target of the line ``name`` of ``[models]``; if that is a pattern, ``*`` stays in it."""
    target = _target(config.models[name], _ANY, config, (name,))
    return msgspec.structs.replace(target, model=target.model.replace(_ANY, "*"))


def expected(config: Config) -> dict[str, set[str]]:
    """Return the models of each backend to which ``[models]`` leads, including fallbacks.

    ``*`` in the name of a model stands for any text.
    """
    found: dict[str, set[str]] = {}
    for name in config.models:
        target = meaning(name, config)
        for one in (target, *target.fallback):
            found.setdefault(one.backend, set()).add(one.model.replace(_ANY, "*"))
    return found


def _resolve(model: str, config: Config, seen: tuple[str, ...], *, alone: bool = False) -> Target | None:
    """Return the target of a name; ``seen`` are the lines that led to it, ``alone`` leaves fallbacks out."""
    line = line_for(model, config)
    if line is None:
        return None
    if len(seen) > _LONGEST_CHAIN:
        raise ConfigError(
            f"models.{quoted(seen[0])}: it leads from name to name more than {_LONGEST_CHAIN} times"
        )
    if line not in seen:
        matched = wildcard_text(line, model) if "*" in line else "*"
        assert matched is not None, "the line is the name's"
        return _target(config.models[line], matched, config, (*seen, line), alone=alone)
    if "/" in model and "*" in line:
        return None  # a pattern that matches everything also matches "backend/model" of an unknown backend

    circle = " → ".join((*seen, line))
    raise ConfigError(f"models.{quoted(seen[0])}: the names lead in a circle: {circle}")


def line_for(model: str, config: Config) -> str | None:
    """Return the line of ``[models]`` that a name belongs to; a text with ``*`` is not a name."""
    if "*" in model:
        return None
    if model in config.models:
        return model
    patterns = _patterns(config.models)
    return next((pattern for pattern in patterns if wildcard_text(pattern, model) is not None), None)


def _target(
    entry: ModelEntry, matched: str, config: Config, seen: tuple[str, ...], *, alone: bool = False
) -> Target:
    target = _follow(entry.to.replace("*", matched), config, seen, alone=alone)
    # The fallbacks of a fallback are not asked, so two names may be each other's fallback.
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
    """Return the target that ``to`` means: an exact name in ``[models]``, ``backend/model``, or a pattern."""
    backend, _, model = to.partition("/")
    if to not in config.models and model and backend in config.backends:
        return Target(backend, model)
    if target := _resolve(to, config, seen, alone=alone):
        return target

    what = (
        f"there is no backend {shown(backend)}{near_miss(backend, config.backends)}"
        if model
        else (
            f'{shown(to)} is neither "backend/model", as in "claude/sonnet", nor another name'
            f"{near_miss(to, config.models)}"
        )
    )
    raise ConfigError(f"models.{quoted(seen[0])}: {what}")


# The patterns of each configuration's models by the identity of these, which a reference keeps unique.
_known: dict[int, tuple[Mapping[str, ModelEntry], list[str]]] = {}


def _patterns(models: Mapping[str, ModelEntry]) -> list[str]:
    """Return the names that are patterns, the most specific first: those with the most text besides ``*``."""
    if (known := _known.get(id(models))) is not None:
        return known[1]
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    patterns = sorted(
        (name for name in models if "*" in name),
        key=lambda name: (name.count("*") - len(name), name.count("*"), name),
    )
    _known[id(models)] = (models, patterns)
    return patterns
