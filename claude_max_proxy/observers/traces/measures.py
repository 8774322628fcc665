"""Measures finished requests by the metrics of OpenTelemetry's conventions for generative AI."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry.metrics import Histogram, Meter

from claude_max_proxy import Record
from claude_max_proxy.observers.traces import names


class Measures:
    """The histograms of one meter."""

    def __init__(self, meter: Meter, providers: Mapping[str, str]) -> None:
        """Make the histograms; ``providers`` are those of the backends, by the backends' names."""
        self._providers = providers
        self._tokens = _histogram(meter, names.TOKEN_USAGE, "{token}", names.TOKEN_BOUNDS)
        self._duration = _histogram(meter, names.DURATION, "s", names.DURATION_BOUNDS)
        self._first = _histogram(meter, names.FIRST_TOKEN, "s", names.FIRST_TOKEN_BOUNDS)
        self._per_token = _histogram(meter, names.PER_TOKEN, "s", names.PER_TOKEN_BOUNDS)

    def add(self, record: Record) -> None:
        """Add a request, if a backend was asked."""
        if not record.backend:
            return
        labels = {
            names.OPERATION: names.operation(record.dialect),
            names.PROVIDER: self._providers.get(record.backend, ""),
            names.REQUEST_MODEL: record.upstream_model,
        }
        self._duration.record(record.total, labels | ({names.ERROR_TYPE: record.code} if record.code else {}))
        usage = record.usage
        if usage is not None:
            self._tokens.record(usage.prompt_tokens, {**labels, names.TOKEN_TYPE: "input"})
            self._tokens.record(usage.output_tokens, {**labels, names.TOKEN_TYPE: "output"})
        if record.first_token is None:
            return
        self._first.record(record.first_token, labels)
        if record.last_token is not None and usage is not None and usage.output_tokens > 1:
            self._per_token.record(
                (record.last_token - record.first_token) / (usage.output_tokens - 1), labels
            )


def _histogram(meter: Meter, name: str, unit: str, bounds: tuple[float, ...]) -> Histogram:
    return meter.create_histogram(name, unit, explicit_bucket_boundaries_advisory=bounds)
