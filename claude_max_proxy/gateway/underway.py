"""The requests that are being answered now, in every configuration that is still at work."""

from __future__ import annotations

import time

import msgspec

from claude_max_proxy.record import Record


class Underway:
    """The records of the requests that are being answered, the oldest first."""

    def __init__(self) -> None:
        """Begin without requests."""
        self._records: dict[int, tuple[Record, float]] = {}

    def add(self, record: Record, began: float) -> None:
        """Add a record; ``began`` is the time of its beginning by the monotonic clock."""
        self._records[id(record)] = (record, began)

    def remove(self, record: Record) -> None:
        """Remove a record."""
        self._records.pop(id(record), None)

    @property
    def count(self) -> int:
        """How many requests are being answered."""
        return len(self._records)

    def records(self) -> list[Record]:
        """Return copies of the records as they are now; their status is 0."""
        now = time.monotonic()
        return [
            msgspec.structs.replace(record, status=0, total=now - began)
            for record, began in self._records.values()
        ]
