"""Makes records for tests of the ledger."""

from __future__ import annotations

import itertools

from claude_max_proxy import Client, Record, Usage


HOUR = 3600
START = 1_790_000_000 // HOUR * HOUR  # a whole hour in 2026
_numbers = itertools.count()


def record(began: float = START, key: str = "", model: str = "m", **changes: object) -> Record:
    """Return the record of a request, with an id of its own."""
    client = Client(key=key, program=str(changes.pop("program", "")), session=str(changes.pop("session", "")))
    values: dict[str, object] = {"usage": Usage(10, 5, 30, 2), "id": f"r{next(_numbers):09}"} | changes
    return Record(model, client=client, began=began, **values)  # type: ignore[arg-type]  # as the test says
