"""When a process has been used enough."""

from __future__ import annotations

import os
import time

import pytest

from claude_max_proxy.backends.claude_cli import wear as module
from claude_max_proxy.backends.claude_cli.wear import Wear


def test_uses() -> None:
    """A process serves a limited number of turns."""
    worn = Wear(os.getpid())
    for _ in range(499):
        worn.use()
    assert not worn.is_out
    worn.use()
    assert worn.is_out


def test_age(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was started in the morning is not used in the evening."""
    worn, now = Wear(os.getpid()), time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 7.9 * 3600)
    assert not worn.is_out
    monkeypatch.setattr(time, "monotonic", lambda: now + 8.1 * 3600)
    assert worn.is_out


def test_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory of a process after some turns determines how much it may grow."""
    taken = iter([100, 150, 151])
    monkeypatch.setattr(module, "resident_memory", lambda _: next(taken))
    worn = Wear(1)
    assert not worn.is_out
    for _ in range(20):
        worn.use()
    assert [worn.is_out for _ in range(3)] == [False, False, True]


def test_another_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """At midnight, in local time, another day begins."""
    days = iter([(2026, 11, 25), (2026, 11, 25), (2026, 11, 26)])
    monkeypatch.setattr(time, "localtime", lambda: next(days))
    worn = Wear(1)
    assert [worn.is_another_day, worn.is_another_day] == [False, True]
