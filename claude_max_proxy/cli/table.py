"""Prints tables on a terminal, with aligned columns and nothing cut."""

from __future__ import annotations

from collections.abc import Sequence

import click

from claude_max_proxy.formats.quoting import plain


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under their headings; an empty cell becomes a dash, and the last column is not padded."""
    cells = [list(head), *([plain(cell) or "-" for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    for row in cells:
        padded = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)]
        click.echo("  ".join([*padded, row[-1]]))
