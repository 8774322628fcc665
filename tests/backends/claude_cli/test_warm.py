"""Warm processes, and which kinds of process are kept warm."""

from __future__ import annotations

import time
from typing import Any

import pytest

from claude_max_proxy.backends.claude_cli.process_kind import ProcessKind
from claude_max_proxy.backends.claude_cli.warm import Warm


OPUS, HAIKU = ProcessKind("opus"), ProcessKind("haiku")


class FakeProcess:
    """A process with only those members that are used."""

    def __init__(self, kind: ProcessKind, *, alive: bool = True) -> None:
        self.kind = kind
        self.alive = alive


def holding(*kinds: ProcessKind) -> tuple[Warm, list[Any]]:
    """Keep a process of each of these kinds."""
    warm, processes = Warm(), [FakeProcess(kind) for kind in kinds]
    for process in processes:
        warm.add(process)  # type: ignore[arg-type]
    return warm, processes


def test_by_kind() -> None:
    """The oldest running process of a kind is taken, and each only once."""
    warm, (first, second, third) = holding(OPUS, OPUS, HAIKU)
    first.alive = False
    assert (warm.count(OPUS), warm.take(OPUS), warm.take(OPUS)) == (2, second, None)
    assert (warm.take_any(), warm.take_any()) == (third, None)


def test_one_that_ended() -> None:
    """A process that ended by itself is forgotten."""
    warm, (process,) = holding(OPUS)
    assert [warm.lose(process), warm.lose(process)] == [True, False]
    assert warm.take(OPUS) is None


def test_old_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that are old, or were started yesterday, are taken out."""
    warm, (process,) = holding(OPUS)
    assert warm.take_older_than(60) == []
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 61)
    assert warm.take_older_than(60) == [process]
    warm, (process,) = holding(OPUS)
    tomorrow = time.localtime(time.time() + 86400)
    monkeypatch.setattr(time, "localtime", lambda: tomorrow)
    assert warm.take_older_than(60) == [process]


def test_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kinds that were not used for a while are forgotten."""
    warm = Warm()
    warm.use([OPUS])
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 10)
    warm.use([HAIKU])
    assert warm.used_within(20) == [OPUS, HAIKU]
    assert warm.used_within(5) == [HAIKU]
    assert warm.used_within(20) == [HAIKU]


def test_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind that cannot be started is tried again after a pause that doubles up to a minute."""
    now = 1000.0  # a clock whose half seconds are exact
    monkeypatch.setattr(time, "monotonic", lambda: now)
    warm = Warm()
    pauses = []
    for _ in range(9):
        warm.back_off(OPUS)
        began = now
        while not warm.may_start(OPUS):
            now += 0.5
        pauses.append(now - began)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    warm.back_off(OPUS)
    warm.works(OPUS)
    assert warm.may_start(OPUS)
