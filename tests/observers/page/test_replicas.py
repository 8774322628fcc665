"""What the page shows of replicas."""

from __future__ import annotations

import msgspec

from claude_max_proxy.facts.replicas import ReplicaFacts
from claude_max_proxy.observers.page import replicas


HERE = ReplicaFacts("one", "10.0.0.1:3456", "0.1.0", 100.0, 0.0, 3, 2, here=True)
NOW = 1_800_000_000.0


def test_rows() -> None:
    """Each replica has a row with what it said last, in the order in which they come."""
    other = msgspec.structs.replace(HERE, name="two", address="", here=False)
    rows = replicas.rows([HERE, other], NOW)
    assert [(row.name, row.address, row.here) for row in rows] == [
        ("one", "10.0.0.1:3456", True),
        ("two", "", False),
    ]
    assert (rows[0].version, rows[0].running, rows[0].processes) == ("0.1.0", 3, 2)
    assert abs(rows[0].began - (NOW - 100)) <= 5


def test_time_alone_changes_nothing() -> None:
    """A replica of which nothing has changed has the same row a second later."""
    later = msgspec.structs.replace(HERE, age=101.003)
    assert replicas.rows([later], NOW + 1) == replicas.rows([HERE], NOW)
