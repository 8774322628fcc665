"""Finished requests, added up."""

from __future__ import annotations

import time

import pytest

from claude_max_proxy import Client, Record, Usage
from claude_max_proxy.config import Config, parse
from claude_max_proxy.observers.metrics import names
from claude_max_proxy.observers.metrics.tally import Histogram, Labels, Tally


MODELS = {"gpt": "claude/opus", "gpt-*": "claude/*", "gpt-*-mini": "claude/haiku"}
USUAL = Record(
    "gpt",
    "opus",
    "claude",
    "openai-chat",
    Client("me"),
    usage=Usage(10, 5, 100, 20, 3),
    first_token=0.5,
    last_token=0.9,
    total=1.0,
    queued=0.25,
    live=True,
    ending="completed",
)


def config(*models: str) -> Config:
    """Return a configuration with these models besides the built-in ones."""
    return parse({"models": {name: MODELS[name] for name in models}}, None)


def tally(*models: str) -> Tally:
    """Return an empty tally for a configuration with these models."""
    made = Tally()
    made.configure(config(*models))
    return made


def counted(made: Tally, metric: names.Metric) -> dict[Labels, float]:
    """Return the values of a counter."""
    return dict(made.counters[metric.name])


def test_an_answer() -> None:
    """An answer counts once in each metric, with times in seconds."""
    made = tally("gpt")
    made.add(USUAL)
    assert counted(made, names.REQUESTS) == {("openai-chat", "gpt", "claude", "2xx", "completed"): 1}
    assert counted(made, names.KEY_REQUESTS) == {("me", "completed"): 1}
    kinds = {"input": 10, "output": 5, "cache_read": 100, "cache_write": 20}
    assert counted(made, names.TOKENS) == {("gpt", "claude", kind): n for kind, n in kinds.items()}
    assert counted(made, names.KEY_TOKENS) == {("me", kind): n for kind, n in kinds.items()}
    assert counted(made, names.REASONING_TOKENS) == {("gpt", "claude"): 3}
    assert counted(made, names.CONVERSATIONS) == {("claude", "live"): 1}
    sums = {name: one.sum for name, series in made.histograms.items() for one in series.values()}
    assert sums == {
        names.DURATION.name: 1.0,
        names.FIRST_TOKEN.name: 0.5,
        names.PER_TOKEN.name: pytest.approx(0.1),
        names.QUEUED.name: 0.25,
    }


@pytest.mark.parametrize(
    "record",
    [
        Record("", status=401, ending="refused", dialect="openai-chat"),
        Record("gpt", status=404, ending="refused"),
        Record("gpt", "opus", "claude", status=502, ending="broken", first_token=0.1, last_token=0.1),
        Record("gpt", "opus", "claude", status=499, ending="left", usage=Usage(1, 1), first_token=1),
        Record("gpt", "opus", "claude", usage=Usage(0, 1), first_token=1, last_token=1, ending="completed"),
    ],
)
def test_whatever_happened(record: Record) -> None:
    """Every record counts as one request, whatever it lacks."""
    made = tally("gpt")
    made.add(record)
    assert sum(counted(made, names.REQUESTS).values()) == 1
    assert sum(counted(made, names.KEY_REQUESTS).values()) == 1


@pytest.mark.parametrize(
    ("asked", "label"),
    [
        ("gpt", "gpt"),
        ("opus", "opus"),
        ("gpt-4o", "gpt-*"),
        ("gpt-4o-mini", "gpt-*-mini"),
        ("claude-opus-9", "claude-*"),
        ("llama", "other"),
        ("*", "other"),
        ("", ""),
    ],
)
def test_models(asked: str, label: str) -> None:
    """A model is called by its line in the configuration, never by whatever a client asks for."""
    made = tally("gpt", "gpt-*", "gpt-*-mini")
    for _ in range(2):
        made.add(Record(asked))
    assert counted(made, names.REQUESTS) == {("", label, "", "2xx", ""): 2}


def test_hostile_names() -> None:
    """However many names clients make up, the number of series and what is remembered stay small."""
    made = tally("gpt", "gpt-*")
    for number in range(5000):
        made.add(Record(f"gpt-{number}"))
        made.add(Record(f"x{number}"))
        made.add(Record("gpt", backend="claude", first_token=1, replayed=f"reason {chr(0x4E00 + number)}"))
    assert len(made.counters[names.REQUESTS.name]) == 3
    assert len(made.counters[names.REPLAYS.name]) <= 21
    assert sum(made.counters[names.REPLAYS.name].values()) == 5000
    assert len(made._models) <= 1001


@pytest.mark.parametrize(
    ("replayed", "reason"),
    [
        ("history not known here", "history not known here"),
        ("history differs at message 17, and its process is worn", "history differs"),
        ("process ended (it was idle)", "process ended"),
        ("17", "other"),
    ],
)
def test_reasons(replayed: str, reason: str) -> None:
    """Why a conversation was replayed is counted without what differs each time."""
    made = tally("gpt")
    made.add(Record("gpt", backend="claude", first_token=1, replayed=replayed))
    assert counted(made, names.REPLAYS) == {("claude", reason): 1}
    assert counted(made, names.CONVERSATIONS) == {("claude", "replayed"): 1}


def test_a_reload() -> None:
    """Another configuration has other names, and what was counted stays."""
    made = tally("gpt")
    made.add(Record("gpt"))
    made.configure(config())
    made.add(Record("gpt"))
    labels = {labels[1] for labels in made.counters[names.REQUESTS.name]}
    assert labels == {"gpt", "other"}


def test_histogram() -> None:
    """A value counts in the first bucket that it fits in; its bound is part of the bucket."""
    histogram = Histogram((1.0, 2.0))
    for value in (0.0, 1.0, 1.5, 2.0, 2.5, 99.0):
        histogram.add(value)
    assert histogram.counts == [2, 2, 2]
    assert histogram.sum == 106.0


def test_its_cost() -> None:
    """A request costs the event loop at most 20 µs."""
    made, best = tally("gpt"), 1.0
    for _ in range(20):
        began = time.perf_counter()
        for _ in range(500):
            made.add(USUAL)
        best = min(best, (time.perf_counter() - began) / 500)
    assert best < 20e-6, f"{best * 1e6:.1f} µs"
