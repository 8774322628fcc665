"""Writes values in TOML, each on one line. Pure."""

from __future__ import annotations

from typing import Any

import tomli_w

from claude_max_proxy.config.converting import quoted


def inline(value: Any) -> str:
    """Return a value as one line of TOML, even a table or a list; ``None``, which TOML lacks, is left out."""
    match value:
        case dict():
            pairs = [f"{quoted(key)} = {inline(one)}" for key, one in value.items() if one is not None]
            return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
        case list() | tuple():
            return f"[{', '.join(map(inline, value))}]"
        case _:
            return tomli_w.dumps({"x": value}).strip().removeprefix("x = ")
