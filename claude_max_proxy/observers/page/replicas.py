"""What the view Now shows of the replicas that share a database. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from claude_max_proxy.facts.replicas import ReplicaFacts


class ReplicaRow(msgspec.Struct, frozen=True):
    """One replica; ``began`` is in seconds since 1970."""

    name: str
    address: str
    version: str
    began: float
    running: int
    processes: int
    here: bool


def rows(found: Iterable[ReplicaFacts], now: float) -> list[ReplicaRow]:
    """Return the replicas in the order in which they were found."""
    return [
        ReplicaRow(
            one.name,
            one.address,
            one.version,
            # Its age is measured again at each look: without rounding, the page would change every second.
            round((now - one.age) / 5) * 5.0,
            one.running,
            one.processes,
            one.here,
        )
        for one in found
    ]
