"""The configuration in force, table by table: its values as they may be shown, and where they come from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from claude_max_proxy.config import DEFAULT_MODELS
from claude_max_proxy.runtime import effective
from claude_max_proxy.runtime.effective import shown
from claude_max_proxy.runtime.runtime import Runtime


__all__ = ["shown", "source", "tables"]


def tables(runtime: Runtime) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Yield the path and the values of each table; API keys are masked, other secrets by :func:`shown`."""
    return effective.tables(runtime.config, runtime.recipes, runtime.plugins)


def source(written: dict[str, Any], path: list[str], file: Path | None) -> str:
    """Return where the value at ``path`` comes from: ``file``, which has ``written``, or the defaults."""
    value: Any = written
    for key in path:
        if not isinstance(value, dict) or key not in value:
            built_in = path[0] == "models" and path[1] in DEFAULT_MODELS and path[2:] in ([], ["to"])
            return "built in" if built_in else "default"
        value = value[key]
    return str(file)
