"""Reads what ``/metrics`` answers, by Prometheus' own library."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

from claude_max_proxy.observers.metrics.names import PREFIX


class Scrape:
    """The samples of one page."""

    def __init__(self, text: str) -> None:
        families = list(text_string_to_metric_families(text))
        self.families = {family.name: family for family in families}
        self.samples = {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in families
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of all samples of a metric that have these labels."""
        return sum(
            value
            for (found, pairs), value in self.samples.items()
            if found == f"{PREFIX}{name}" and labels.items() <= dict(pairs).items()
        )

    def since(self, before: Scrape, name: str, **labels: str) -> float:
        """Return how much more that is than it was ``before``."""
        return self.value(name, **labels) - before.value(name, **labels)

    def labels(self, name: str) -> list[Mapping[str, str]]:
        """Return the labels of all samples of a metric."""
        return [dict(pairs) for found, pairs in self.samples if found == f"{PREFIX}{name}"]
