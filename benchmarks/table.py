"""Writes results as an aligned table: both sides, their ratio, and what the ratio should be."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any

import msgspec


Say = Callable[[str], None]
Cells = tuple[str, ...]


class Row(msgspec.Struct, frozen=True):
    """One line: its name, which samples it shows, how they are written, and the largest acceptable ratio.

    With ``beside``, the second column has other samples of ours instead of the peer's. With ``least``, the
    target is the smallest acceptable ratio.
    """

    name: str
    field: str
    unit: str
    scale: float
    target: float | None = None
    beside: str = ""
    least: bool = False


def table(head: Cells, lines: list[Cells]) -> str:
    """Return the table; the first and the last column are aligned to the left, the others to the right."""
    lines = [head, *lines]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    aligns: list[Callable[[str, int], str]] = [str.ljust, *[str.rjust] * (len(head) - 2), str.ljust]
    return "\n".join(
        "  ".join(
            align(cell, width) for align, cell, width in zip(aligns, line, widths, strict=True)
        ).rstrip()
        for line in lines
    )


def cells(row: Row, ours: Any, other: Any) -> Cells:
    """Return the cells of a line: the median of the samples, with the smallest and the largest after it."""
    mine = getattr(ours, row.field)
    theirs = getattr(ours, row.beside) if row.beside else getattr(other, row.field, [])
    if not theirs:
        return row.name, spread(mine, row), "–", "", "", ""

    ratio = median(mine) / median(theirs) if median(theirs) else float("inf")
    if row.target is None:
        return row.name, spread(mine, row), spread(theirs, row), _ratio(ratio), "", ""

    fine = ratio >= row.target if row.least else ratio <= row.target
    target, verdict = _ratio(row.target), "ok" if fine else "MISSED"
    return row.name, spread(mine, row), spread(theirs, row), _ratio(ratio), target, verdict


def spread(values: list[float], row: Row) -> str:
    """Return samples in the row's unit."""
    low, middle, high = (f(values) * row.scale for f in (min, median, max))
    if len(values) == 1 or low == high:
        return f"{_number(middle)} {row.unit}"

    return f"{_number(middle)} {row.unit} ({_number(low)}–{_number(high)})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _ratio(value: float) -> str:
    return f"1/{1 / value:.3g}" if 0 < value < 1 else f"{value:.3g}"
