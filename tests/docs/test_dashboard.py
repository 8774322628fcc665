"""The dashboard for Grafana asks for what ``/metrics`` has."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from claude_max_proxy.observers.metrics.names import METRICS, PREFIX


FILE = Path(__file__).parents[2] / "docs" / "grafana-dashboard.json"
_OF_A_PROCESS = {"process_resident_memory_bytes", "process_cpu_seconds_total"}
_OWN_LABELS = {"instance", "job", "le"}


def dashboard() -> dict[str, Any]:
    """Return the dashboard."""
    read: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
    return read


def queries() -> list[str]:
    """Return all queries of the dashboard."""
    return [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", ())]


def test_metrics_exist() -> None:
    """Each query names metrics that exist, by names that a sample has, and labels of those metrics."""
    known = {one.name: one for one in METRICS}
    for query in queries():
        found = re.findall(r"\b((?:claude_max_proxy|process)_\w+)", query)
        assert found, query
        labels = set(_OWN_LABELS)
        for name in found:
            plain = re.sub(r"_(bucket|sum|count)$", "", name)
            metric = known.get(name) or known.get(plain)
            assert metric is not None or name in _OF_A_PROCESS, name
            if metric is not None:
                assert (metric.kind == "histogram") is (metric.name != name), name
                labels |= set(metric.labels)
        used = re.findall(r"[{,]\s*(\w+)\s*(?:=~|!=|!~|=)", query)
        used += [one.strip() for by in re.findall(r"by \(([^)]*)\)", query) for one in by.split(",")]
        assert set(used) <= labels, query


def test_every_metric_is_shown_or_of_use_elsewhere() -> None:
    """The dashboard shows nearly all metrics."""
    every = " ".join(queries())
    hidden = {one.name.removeprefix(PREFIX) for one in METRICS if one.name not in every}
    assert hidden <= {
        "config_last_reload_timestamp_seconds",
        "ledger_database_away",
        "plan_window_runs_out_timestamp_seconds",
        "plan_window_status",
    }


def test_panels() -> None:
    """Panels have names, places and ids of their own."""
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(places)
    assert all(panel["title"] and panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)
