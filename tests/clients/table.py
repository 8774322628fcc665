"""The results as one aligned table: a line for each client, API and version of the CLI."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field

from tests.clients.matrix import Outcome


_HEAD = ("client", "version", "Claude Code", "API", "what ran", "requests", "result")
_WHAT = 62


@dataclass(frozen=True)
class Line:
    """What became of a client with one version of the CLI; `reason` says why nothing was run."""

    client: str
    version: str
    cli: str
    outcomes: list[Outcome] = field(default_factory=list)
    reason: str = ""


def table(lines: list[Line]) -> str:
    """Write it."""
    rows: list[tuple[str, ...]] = [_HEAD]
    for line in lines:
        rows += _rows(line)
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD) - 1)]
    return "\n".join(_joined(row, widths) for row in rows)


def failed(lines: list[Line]) -> int:
    """Count the checks that failed."""
    return sum(1 for line in lines for outcome in line.outcomes if outcome.failure)


def _joined(row: tuple[str, ...], widths: list[int]) -> str:
    cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
    return "  ".join([*cells, row[-1]]).rstrip()


def _rows(line: Line) -> list[tuple[str, ...]]:
    names = (line.client, line.version, line.cli)
    if not line.outcomes:
        return [(*names, "", "", "", f"not run: {line.reason}")]

    rows: list[tuple[str, ...]] = []
    for api in dict.fromkeys(outcome.check.api for outcome in line.outcomes):
        rows += _api_rows(names, api, [outcome for outcome in line.outcomes if outcome.check.api == api])
    return rows


def _api_rows(names: tuple[str, str, str], api: str, outcomes: list[Outcome]) -> list[tuple[str, ...]]:
    """Write one line, and more below it where the names of the checks or the failures need them."""
    ran = textwrap.wrap(", ".join(outcome.check.name for outcome in outcomes), _WHAT)
    failures = [f"failed: {one.check.name}: {one.failure}" for one in outcomes if one.failure]
    results = failures or ["ok"]
    requests = str(sum(outcome.requests for outcome in outcomes))
    rows: list[tuple[str, ...]] = [(*names, api, ran[0], requests, results[0])]
    for number in range(1, max(len(ran), len(results))):
        what = ran[number] if number < len(ran) else ""
        result = results[number] if number < len(results) else ""
        rows.append(("", "", "", "", what, "", result))
    return rows
