"""The built-in model map: ``[models]`` of ``proxy.toml``, exact names first, then the most specific pattern.

``*`` in a name matches any text, and ``*`` in its target stands for what was matched.
"""

from __future__ import annotations

import re
from functools import lru_cache

from claude_max_proxy import Config, ModelEntry, Request, Target, hookimpl


@hookimpl(trylast=True)
def map_model(request: Request, config: Config) -> Target | None:
    """Look the model up in ``[models]``."""
    return resolve(request.model, config)


def resolve(model: str, config: Config) -> Target | None:
    """Say what ``model`` means, or ``None`` when no line of ``[models]`` matches."""
    if entry := config.models.get(model):
        return _target(entry, "*")

    for pattern in sorted((name for name in config.models if "*" in name), key=_specificity):
        if match := _compiled(pattern).fullmatch(model):
            return _target(config.models[pattern], match[1])

    return None


def _target(entry: ModelEntry, matched: str) -> Target:
    backend, _, model = entry.to.partition("/")
    return Target(
        backend,
        model.replace("*", matched),
        entry.effort,
        entry.max_tokens,
        entry.system,
        entry.temperature,
        entry.agent,
    )


def _specificity(pattern: str) -> tuple[int, str]:
    return (-len(pattern), pattern)


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    before, _, after = pattern.partition("*")
    rest = ".*".join(re.escape(piece) for piece in after.split("*"))
    return re.compile(f"{re.escape(before)}(.*){rest}", re.DOTALL)
