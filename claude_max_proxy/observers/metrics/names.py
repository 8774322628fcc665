"""Every metric that ``GET /metrics`` has: its name, kind, labels and meaning, and nothing else.

Names are in base units and end as Prometheus wants it: ``_seconds``, ``_bytes``, ``_ratio``, and ``_total``
for what only grows. A label has few values: ``model`` is a name in ``[models]``, or ``other``.
"""

from __future__ import annotations

from typing import Literal

import msgspec


PREFIX = "claude_max_proxy_"
OTHER = "other"


class Metric(msgspec.Struct, frozen=True):
    """What is known of a metric before there is a value. ``bounds`` are those of a histogram's buckets."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()


def _counter(name: str, meaning: str, *labels: str) -> Metric:
    return Metric(f"{PREFIX}{name}", "counter", meaning, labels)


def _gauge(name: str, meaning: str, *labels: str) -> Metric:
    return Metric(f"{PREFIX}{name}", "gauge", meaning, labels)


def _histogram(name: str, meaning: str, bounds: tuple[float, ...], *labels: str) -> Metric:
    return Metric(f"{PREFIX}{name}", "histogram", meaning, labels, bounds)


_LONG = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0)
_FIRST = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0)
_TOKEN = (0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.15, 0.25, 0.5, 1.0)
_WAIT = (0.001, 0.01, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)

# --- Requests that are over

REQUESTS = _counter(
    "requests_total",
    "Finished requests, refused ones too. `status` is the class of the HTTP status, such as `4xx`. `ending` "
    "is `completed`, `refused` (it failed before the client got anything), `broken` (it failed in an answer "
    "that had begun) or `left` (the client left).",
    *("dialect", "model", "backend", "status", "ending"),
)
KEY_REQUESTS = _counter(
    "key_requests_total",
    "Finished requests by the name of the API key, which is empty without one.",
    *("key", "ending"),
)
TOKENS = _counter(
    "tokens_total",
    "Tokens. `kind` is `input` (without those from or for the provider's cache), `cache_read`, `cache_write` "
    "or `output`; these do not overlap.",
    *("model", "backend", "kind"),
)
KEY_TOKENS = _counter("key_tokens_total", "Tokens by the name of the API key.", "key", "kind")
REASONING_TOKENS = _counter(
    "reasoning_tokens_total",
    "The part of the output tokens that was reasoning, if the provider says so.",
    *("model", "backend"),
)
DURATION = _histogram(
    "request_duration_seconds", "The time from a request's arrival to its end.", _LONG, "model", "backend"
)
FIRST_TOKEN = _histogram(
    "time_to_first_token_seconds",
    "The time from a request's arrival to the answer's first word.",
    _FIRST,
    *("model", "backend"),
)
PER_TOKEN = _histogram(
    "time_per_output_token_seconds",
    "The time between one token and the next: from the first to the last word, by the number of tokens.",
    _TOKEN,
    *("model", "backend"),
)
QUEUED = _histogram(
    "queue_wait_seconds", "How long answered requests waited for their backend.", _WAIT, "backend"
)
CONVERSATIONS = _counter(
    "conversations_total",
    "Answers in conversations that a backend keeps. `continued` is `live` if the conversation was continued "
    "in place, and `replayed` if its history was sent again.",
    *("backend", "continued"),
)
REPLAYS = _counter("replays_total", "Why conversations were replayed.", "backend", "reason")

# --- What is the case now

UNDER_WAY = _gauge("requests_under_way", "Requests that are being answered.", "backend")
BACKEND = _gauge(
    "backend_status", "1 for the status that a backend has, and 0 for the others.", "backend", "status"
)
PROCESSES = _gauge("processes", "The backend's processes by their state.", "backend", "state")
PROCESS_MEMORY = _gauge(
    "processes_memory_bytes", "The memory of the backend's processes by their state.", "backend", "state"
)
PROCESS_CPU = _counter(
    "processes_cpu_seconds_total",
    "The CPU time of the backend's processes, as far as it was seen when metrics were read.",
    "backend",
)
WINDOW_USED = _gauge(
    "plan_window_used_ratio", "How much of a window of the plan is used; 1 is all of it.", "backend", "window"
)
WINDOW_RESET = _gauge(
    "plan_window_reset_timestamp_seconds",
    "When a window of the plan begins again, as Unix time.",
    *("backend", "window"),
)
WINDOW_RUNS_OUT = _gauge(
    "plan_window_runs_out_timestamp_seconds",
    "When a window of the plan is used up at the present pace, as Unix time; absent if that is not expected.",
    *("backend", "window"),
)
WINDOW_STATUS = _gauge(
    "plan_window_status",
    "1 for the status that a window of the plan has, and 0 for the others.",
    *("backend", "window", "status"),
)
BUDGET_USED = _gauge(
    "budget_used_ratio",
    "How much of a budget is used; 1 is all of it. `kind` says whether it is that of a `key`, a `model` or a "
    "`backend`, `unit` whether it counts `tokens` or `dollars`.",
    *("kind", "name", "period", "unit"),
)
LEDGER_WAITING = _gauge("ledger_rows_waiting", "Rows of the ledger that are not in its database yet.")
LEDGER_LOST = _counter("ledger_rows_lost_total", "Rows of the ledger that could not be kept.")
LEDGER_AWAY = _gauge("ledger_database_away", "1 if the ledger's database cannot be reached, otherwise 0.")
REPLICAS = _gauge("replicas", "How many replicas of the proxy share a database, as this one knows.")
RELOAD_SUCCESS = _gauge(
    "config_last_reload_successful",
    "0 if the last change of the configuration could not be used, otherwise 1.",
)
RELOAD_TIME = _gauge(
    "config_last_reload_timestamp_seconds", "When the configuration was last reloaded, as Unix time."
)
PLUGIN_FAILURES = _counter("plugin_failures_total", "How often a plugin has failed.", "plugin")
BUILD = _gauge(
    "build_info",
    "Always 1; the labels say what runs, and as which replica.",
    *("version", "python", "replica"),
)

METRICS = tuple(one for one in list(globals().values()) if isinstance(one, Metric))
