"""How much memory processes take, and how much they may."""

from __future__ import annotations

import os
import sys

import pytest

from claude_max_proxy.backends.claude_cli import memory
from claude_max_proxy.backends.claude_cli.memory import (
    MemoryBudget,
    proportional_memory,
    read_size,
    resident_memory,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("", None),
        ("2GB", 2 * 1024**3),
        ("1.5 GiB", 3 * 1024**3 // 2),
        ("512MB", 512 * 1024**2),
        ("10B", 10),
        ("2", None),
        ("lots", None),
        ("-1GB", None),
    ],
)
def test_sizes(text: str, size: int | None) -> None:
    """A size is a number and a unit."""
    assert read_size(text) == size


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells it in a file")
def test_what_a_process_takes() -> None:
    """This process takes some megabytes, and one that does not exist takes nothing."""
    assert 10_000_000 < proportional_memory(os.getpid()) <= resident_memory(os.getpid()) * 1.1
    assert (proportional_memory(2**30), resident_memory(2**30)) == (0, 0)


def test_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is room while all processes together stay below the limit; the first always has room."""
    sizes = {1: 400 * 1024**2, 2: 500 * 1024**2}
    monkeypatch.setattr(memory, "proportional_memory", sizes.__getitem__)
    monkeypatch.setattr(memory, "tree", lambda pid: [pid])
    budget = MemoryBudget(1024**3)
    assert budget.allows([], 1)
    assert budget.allows([1, 2, 3], 2)  # the memory has not been measured yet
    budget.measure([1, 2])
    assert not budget.allows([1, 2], 1)
    assert budget.allows([2], 1)
    assert budget.excess([1, 2]) == 0
    sizes[2] = 700 * 1024**2
    budget.measure([1, 2])
    assert budget.excess([1, 2]) == 76 * 1024**2
    assert MemoryBudget(None).allows([1, 2], 100)
    assert MemoryBudget(None).excess([1, 2]) == 0
