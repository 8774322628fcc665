"""Writes metrics in the format that Prometheus reads, or in OpenMetrics if the reader asks for that."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from claude_max_proxy.observers.metrics import names
from claude_max_proxy.observers.metrics.tally import Histogram, Labels


Values = Mapping[str, Mapping[Labels, float]]
Histograms = Mapping[str, Mapping[Labels, Histogram]]


def exposition(values: Values, histograms: Histograms, accept: str) -> tuple[bytes, str]:
    """Return a page with these values and histograms, which are by the names of metrics, and its media type.

    ``accept`` is the reader's header. The page also has what Prometheus' own library tells of a process.
    """
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_Families([*_families(values), *_histograms(histograms)]))
    encode, media_type = choose_encoder(accept)
    return encode(registry), media_type


class _Families(Collector):
    """What a registry asks for metrics that are known already."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def describe(self) -> Iterable[Family]:
        """Return nothing: the names differ from each other."""
        return ()

    def collect(self) -> Iterable[Family]:
        """Return the metrics."""
        return self._families


def _families(values: Values) -> Iterator[Family]:
    for metric in names.METRICS:
        if metric.name not in values or metric.kind == "histogram":
            continue
        make = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
        family = make(metric.name, _plain(metric.meaning), labels=metric.labels)
        for labels, value in list(values[metric.name].items()):
            family.add_metric(labels, value)
        yield family


def _histograms(histograms: Histograms) -> Iterator[Family]:
    for metric in names.METRICS:
        if metric.name not in histograms:
            continue
        family = HistogramMetricFamily(metric.name, _plain(metric.meaning), labels=metric.labels)
        for labels, histogram in list(histograms[metric.name].items()):
            family.add_metric(labels, _buckets(histogram), histogram.sum)
        yield family


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    """Return the number of values up to each bound, as Prometheus counts them."""
    buckets, below = [], 0
    for bound, count in zip((*histogram.bounds, math.inf), histogram.counts, strict=True):
        below += count
        buckets.append((f"{bound:g}" if bound < math.inf else "+Inf", float(below)))
    return buckets


def _plain(meaning: str) -> str:
    return meaning.replace("`", "")
