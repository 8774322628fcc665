"""Requests as CSV and JSON, piece by piece. Pure: the rows come from the caller."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

import msgspec

from claude_max_proxy.ledger import Row


MOST = 100_000
"""The newest requests are exported, as many as this."""
_AT_A_TIME = 500
_COLUMNS = Row.__struct_fields__
# With these a cell would be a formula in a spreadsheet; a tab or a return may stand before one.
_DANGEROUS = ("=", "+", "-", "@", "\t", "\r")


async def as_csv(rows: AsyncIterator[Row]) -> AsyncGenerator[bytes, None]:
    """Yield a table with a header, as RFC 4180 has it."""
    yield _lines([_COLUMNS])
    async for some in _bundled(rows):
        yield _lines([[cell(getattr(row, name)) for name in _COLUMNS] for row in some])


async def as_json(rows: AsyncIterator[Row]) -> AsyncGenerator[bytes, None]:
    """Yield a list of objects, one on each line."""
    first = True
    async for some in _bundled(rows):
        lines = b",\n".join(map(msgspec.json.encode, some))
        yield (b"[\n" if first else b",\n") + lines
        first = False
    yield b"[]\n" if first else b"\n]\n"


def cell(value: Any) -> Any:
    """Return a value for a cell: a text that a spreadsheet would compute gets an apostrophe before it."""
    if isinstance(value, str) and value.startswith(_DANGEROUS):
        return f"'{value}"
    return "" if value is None else value


async def _bundled(rows: AsyncIterator[Row]) -> AsyncIterator[list[Row]]:
    """Yield rows in bundles, at most ``MOST`` in all."""
    some: list[Row] = []
    left = MOST
    async for row in rows:
        some.append(row)
        left -= 1
        if len(some) == _AT_A_TIME or not left:
            yield some
            some = []
        if not left:
            return
    if some:
        yield some


def _lines(rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
