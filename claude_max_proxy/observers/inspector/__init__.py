"""The inspector: while it is switched on, it keeps what was said in the last requests, in memory only.

It is off until somebody who may open the page switches it on there, for a while. It says so in the log. What
it holds is wiped when the time is over, when it is switched off, at a reload and at the end.

Like every plugin, it knows requests by its hooks: it sees one as it came in ``admit_request``, before any
plugin changes it, and as it goes to its backend in ``wrap_events``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from claude_max_proxy import Context, Event, Events, Record, Request, hookimpl
from claude_max_proxy.observers.inspector.inspector import Inspector


class _Holder:
    """The one inspector of this process."""

    inspector = Inspector()


@hookimpl
def configured(context: Context) -> None:
    """Let the page find the inspector, switched off."""
    _Holder.inspector.stop("the configuration was reloaded")
    context.offer(_Holder.inspector)


@hookimpl
def admit_request(request: Request) -> None:
    """Keep a request as it came."""
    if _Holder.inspector.is_on:
        _Holder.inspector.take(request)


@hookimpl
def wrap_events(request: Request, events: Events) -> AsyncIterator[Event] | None:
    """Keep a request as it goes to its backend, and its answer."""
    return _Holder.inspector.listen(request, events) if _Holder.inspector.is_on else None


@hookimpl
def log_request(record: Record) -> None:
    """Note how a request ended."""
    if _Holder.inspector.is_on:
        _Holder.inspector.close(record)


@hookimpl
def shutdown() -> None:
    """Wipe everything."""
    _Holder.inspector.stop("the proxy stops, or does without it from now on")
