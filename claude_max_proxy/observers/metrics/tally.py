"""Adds up finished requests. This is done on the event loop, so it is a few additions and nothing else."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection

from claude_max_proxy import Config, Record, Usage
from claude_max_proxy.observers.metrics import names


Labels = tuple[str, ...]
_MOST_NAMES = 1000
_MOST_REASONS = 20
_DETAIL = re.compile(r" at message|[(,\d]")  # where a reason begins to tell what differs each time


class Histogram:
    """How many values fell between which bounds, and their sum."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        """Begin without values; ``bounds`` are the largest values of each bucket but the last."""
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Add a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Tally:
    """The sums since the start of the process; they outlive every configuration."""

    def __init__(self) -> None:
        """Begin at nothing."""
        self.counters: dict[str, defaultdict[Labels, float]] = {
            one.name: defaultdict(float) for one in names.METRICS if one.kind == "counter"
        }
        self.histograms: dict[str, dict[Labels, Histogram]] = {
            one.name: {} for one in names.METRICS if one.kind == "histogram"
        }
        self._requests = self.counters[names.REQUESTS.name]
        self._key_requests = self.counters[names.KEY_REQUESTS.name]
        self._tokens = self.counters[names.TOKENS.name]
        self._key_tokens = self.counters[names.KEY_TOKENS.name]
        self._models: dict[str, str] = {}
        self._configured: Collection[str] = ()

    def configure(self, config: Config) -> None:
        """Call models by their names in this configuration."""
        self._configured = config.models
        self._models = {"": ""}

    def add(self, record: Record) -> None:
        """Add a finished request."""
        model = self._models.get(record.model)
        if model is None:
            model = self._named(record.model)
        backend, ending, key = record.backend, record.ending, record.client.key
        self._requests[record.dialect, model, backend, f"{record.status // 100}xx", ending] += 1
        self._key_requests[key, ending] += 1
        if backend:
            labels = (model, backend)
            self._observe(names.DURATION, labels, record.total)
            self._add_answer(record, labels)
        if record.usage is not None:
            self._add_tokens(record.usage, model, backend, key)

    def _add_answer(self, record: Record, labels: Labels) -> None:
        first, usage = record.first_token, record.usage
        if first is None:
            return
        self._observe(names.FIRST_TOKEN, labels, first)
        self._observe(names.QUEUED, labels[1:], record.queued)
        if record.last_token is not None and usage is not None and usage.output_tokens > 1:
            self._observe(names.PER_TOKEN, labels, (record.last_token - first) / (usage.output_tokens - 1))
        self._add_conversation(record)

    def _add_conversation(self, record: Record) -> None:
        if record.live:
            self.counters[names.CONVERSATIONS.name][record.backend, "live"] += 1
        elif record.replayed:
            self.counters[names.CONVERSATIONS.name][record.backend, "replayed"] += 1
            reasons = self.counters[names.REPLAYS.name]
            labels = (record.backend, _DETAIL.split(record.replayed, maxsplit=1)[0].strip() or names.OTHER)
            if labels not in reasons and len(reasons) >= _MOST_REASONS:
                labels = (record.backend, names.OTHER)
            reasons[labels] += 1

    def _add_tokens(self, usage: Usage, model: str, backend: str, key: str) -> None:
        kinds = (
            ("input", usage.input_tokens),
            ("output", usage.output_tokens),
            ("cache_read", usage.cache_read_tokens),
            ("cache_write", usage.cache_write_tokens),
        )
        for kind, tokens in kinds:
            if tokens:
                self._tokens[model, backend, kind] += tokens
                self._key_tokens[key, kind] += tokens
        if usage.reasoning_tokens:
            self.counters[names.REASONING_TOKENS.name][model, backend] += usage.reasoning_tokens

    def _observe(self, metric: names.Metric, labels: Labels, value: float) -> None:
        series = self.histograms[metric.name]
        histogram = series.get(labels)
        if histogram is None:
            histogram = series[labels] = Histogram(metric.bounds)
        histogram.add(value)

    def _named(self, model: str) -> str:
        """Return the label for a name that a client asked for: one that is configured, or ``other``."""
        if len(self._models) >= _MOST_NAMES:
            self._models = {"": ""}
        patterns = (name for name in self._configured if "*" in name and _fits(name, model))
        label = model if model in self._configured else max(patterns, key=len, default=names.OTHER)
        self._models[model] = label
        return label


def _fits(pattern: str, name: str) -> bool:
    """Return whether ``name`` matches ``pattern``, in which ``*`` stands for any text."""
    first, *pieces, last = pattern.split("*")
    at, end = len(first), len(name) - len(last)
    if at > end or not (name.startswith(first) and name.endswith(last)):
        return False

    for piece in pieces:
        found = name.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True
