"""``claude-max-proxy models``: what each name means."""

from __future__ import annotations

import click

from claude_max_proxy.config import DEFAULT_MODELS, load
from claude_max_proxy.runtime import Runtime, find_config


def run(config: str | None) -> None:
    """Print the table: name, target, settings, and where it was defined."""
    runtime = Runtime(load(find_config(config)))
    rows = [("MODEL", "GOES TO", "SETS", "DEFINED IN")]
    for name, entry in runtime.config.models.items():
        settings = [
            f"effort={entry.effort}" if entry.effort else "",
            f"max_tokens={entry.max_tokens}" if entry.max_tokens else "",
            "system" if entry.system else "",
        ]
        built_in = DEFAULT_MODELS.get(name) == entry.to and not any(settings)
        source = "built in" if built_in else str(runtime.config.source)
        rows.append((name, entry.to, " ".join(filter(None, settings)) or "-", source))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        click.echo("  ".join([*cells, row[3]]))
