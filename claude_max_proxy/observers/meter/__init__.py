"""Watches how far the plans are used: warns, tells clients in headers, and serves ``/status``."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Sequence
from typing import Annotated

import msgspec

import claude_max_proxy
from claude_max_proxy import (
    Call,
    Context,
    Meta,
    PlanWindow,
    Record,
    RegisterRoute,
    Request,
    Route,
    Target,
    hookimpl,
)
from claude_max_proxy import Settings as BaseSettings
from claude_max_proxy.facts.plan_windows import PLAN
from claude_max_proxy.observers.meter.alarms import Alarms
from claude_max_proxy.observers.meter.report import Failure, failure, report


logger = logging.getLogger(__name__)

_FAILURES = 20
_LEFT = 499
_json = msgspec.json.Encoder().encode


class Settings(BaseSettings, frozen=True):
    """When to warn, and whom to tell."""

    warn_at: Annotated[
        tuple[Annotated[float, Meta(gt=0, le=10)], ...],
        Meta(description="The shares of a plan's window at which a warning is logged, once for each."),
    ] = (0.75, 0.9, 0.95)
    warn_of_pace: Annotated[
        bool,
        Meta(description="Whether a warning is logged when a window runs out before its reset at this pace."),
    ] = True
    headers: Annotated[
        bool,
        Meta(description="Whether answers have headers that say how far the plan is used, `x-proxy-plan-…`."),
    ] = True


class _Holder:
    """What is remembered in this process, whichever configuration is in force."""

    context: Context | None = None
    alarms = Alarms()
    failures: deque[Failure] = deque(maxlen=_FAILURES)


@hookimpl
def configured(context: Context) -> None:
    """Take note of the backends."""
    _Holder.context = context


@hookimpl
def register_routes(register: RegisterRoute, context: Context) -> None:
    """Serve the state of the proxy."""

    async def status(_: Call) -> bytes:
        return _json(await report(context, claude_max_proxy.__version__, list(_Holder.failures)))

    register(Route("GET", "/status", status, "How the proxy is: windows, processes, failures.", "admin"))


@hookimpl
def admit_request(request: Request, target: Target, context: Context, settings: Settings) -> None:
    """Tell the client how far the plan of its backend is used."""
    backend = context.backends.get(target.backend)
    if backend is not None and settings.headers:
        request.answer_headers.update(headers(backend.windows()))


@hookimpl
def log_request(record: Record, settings: Settings) -> None:
    """Warn if the plan of the backend that has answered is nearly used up; remember a failure."""
    if record.status >= 400 and record.status != _LEFT:
        _Holder.failures.append(failure(record))
    context = _Holder.context
    backend = context.backends.get(record.backend) if context is not None else None
    if backend is None:
        return
    now, windows = time.time(), backend.windows()
    if not settings.warn_of_pace:
        windows = [msgspec.structs.replace(window, runs_out_at=None) for window in windows]
    for warning in _Holder.alarms.due(record.backend, windows, settings.warn_at, now):
        logger.warning("%s", warning)


def headers(windows: Sequence[PlanWindow]) -> dict[str, str]:
    """Return the headers that tell of these windows; times are in seconds since 1970."""
    found = {}
    for window in windows:
        name = "x-proxy-plan"
        if window.name != PLAN:
            name += f"-{window.name.replace('_', '-')}"
        if window.used is not None:
            found[f"{name}-used"] = f"{window.used:.4g}"
        if window.status:
            found[f"{name}-status"] = window.status
        if window.resets_at is not None:
            found[f"{name}-resets"] = f"{window.resets_at:.0f}"
        if window.runs_out_at is not None:
            found[f"{name}-runs-out"] = f"{window.runs_out_at:.0f}"
    return found
