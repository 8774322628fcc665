"""The results as one aligned table: both sides, their ratio, and what it should be."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import msgspec

from benchmarks.samples import DELTAS, Samples


class Row(msgspec.Struct, frozen=True):
    """One line: its name, which samples, how to write them, and the largest ratio that is ok."""

    name: str
    field: str
    unit: str
    scale: float
    target: float | None = None


ROWS = (
    Row("first token, new conversation", "fresh", "ms", 1e3, 1 / 6),
    Row("first token, next turn", "next_turn", "ms", 1e3, 1 / 20),
    Row('bytes upstream for "hi"', "hi_bytes", "kB", 1e-3, 1 / 30),
    Row("own CPU per delta", "delta_cpu", "µs", 1e6, 1.0),
    Row(f"{DELTAS:,} deltas, wall time", "stream_wall", "ms", 1e3),
    Row("CPU per request, with the CLI", "request_cpu", "s", 1.0),
    Row("memory of the proxy itself", "resident", "MB", 1e-6),
    Row("memory with the CLI, at rest", "at_rest", "MB", 1e-6),
    Row("memory with the CLI, answering", "answering", "MB", 1e-6),
)
_HEAD = ("", "claude-max-proxy", "claude-max-api-proxy", "ratio", "target", "")


def table(ours: Samples, peer: Samples) -> str:
    """Write it. The middle of the samples stands first, the least and the most behind it."""
    lines = [_HEAD, *(_cells(row, ours, peer) for row in ROWS), _delivery(ours, peer)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]
    aligns: list[Callable[[str, int], str]] = [str.ljust, *[str.rjust] * 4, str.ljust]
    return "\n".join(
        "  ".join(
            align(cell, width) for align, cell, width in zip(aligns, line, widths, strict=True)
        ).rstrip()
        for line in lines
    )


def _cells(row: Row, ours: Samples, peer: Samples) -> tuple[str, ...]:
    mine, theirs = getattr(ours, row.field), getattr(peer, row.field)
    ratio = median(mine) / median(theirs) if median(theirs) else float("inf")
    if row.target is None:
        return row.name, _spread(mine, row), _spread(theirs, row), _ratio(ratio), "", ""

    verdict = "ok" if ratio <= row.target else "MISSED"
    return row.name, _spread(mine, row), _spread(theirs, row), _ratio(ratio), _ratio(row.target), verdict


def _delivery(ours: Samples, peer: Samples) -> tuple[str, ...]:
    mine, theirs = min(ours.delivered), min(peer.delivered)
    verdict = "ok" if mine == DELTAS else "MISSED"
    return "deltas delivered", f"{mine:,.0f}", f"{theirs:,.0f}", "", f"{DELTAS:,}", verdict


def _spread(values: list[float], row: Row) -> str:
    low, middle, high = (f(values) * row.scale for f in (min, median, max))
    if len(values) == 1 or low == high:
        return f"{_number(middle)} {row.unit}"

    return f"{_number(middle)} {row.unit} ({_number(low)}–{_number(high)})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _ratio(value: float) -> str:
    return f"1/{1 / value:.3g}" if value < 1 else f"{value:.3g}"
