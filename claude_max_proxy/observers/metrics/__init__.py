"""``GET /metrics``: what Prometheus reads, a built-in plugin.

- ``names`` has every metric, and ``docs/observing.md`` a table of them.
- ``tally`` adds up finished requests, on the event loop.
- ``facts`` reads what is the case now, when somebody asks.
- ``exposition`` writes both, by Prometheus' own library.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from claude_max_proxy import (
    Call,
    Config,
    Context,
    Record,
    RegisterRoute,
    Response,
    Route,
    aside,
    hookimpl,
)
from claude_max_proxy.observers.metrics.facts import Facts
from claude_max_proxy.observers.metrics.tally import Labels, Tally


Values = Mapping[str, Mapping[Labels, float]]


# What is counted is counted since the start of the process: a reload must not make Prometheus see a new one.
_tally = Tally()
_facts = Facts()
_in_force: list[Context] = []


@hookimpl
def register_routes(register: RegisterRoute, context: Context) -> None:
    """Serve ``/metrics`` to whoever may administrate the proxy."""
    summary = "Metrics, for Prometheus"
    register(Route("GET", "/metrics", partial(_answer, context), summary, access="admin"))


@hookimpl
def configured(new: Config, context: Context) -> None:
    """Call models by the names that this configuration gives them."""
    _tally.configure(new)
    for before in _in_force:
        _facts.replace(before)
    _in_force[:] = [context]


@hookimpl
def log_request(record: Record) -> None:
    """Count a finished request."""
    _tally.add(record)


async def _answer(context: Context, call: Call) -> Response:
    values: Values = {**_tally.counters, **_facts.read(context)}
    accept = call.headers.get("accept", "")
    body, media_type = await aside(partial(_write, values, accept), large=True)
    return Response(body, media_type=media_type)


def _write(values: Values, accept: str) -> tuple[bytes, str]:
    # The library takes a while to import, so this is done here, on a thread, and not when the proxy starts.
    from claude_max_proxy.observers.metrics.exposition import exposition

    return exposition(values, _tally.histograms, accept)
