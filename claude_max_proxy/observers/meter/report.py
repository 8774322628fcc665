"""What ``GET /status`` answers: how the running proxy is, in one piece, without a word of what was said."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from claude_max_proxy import Backend, Context, PlanWindow, ProcessFacts, Record
from claude_max_proxy.facts.budgets import BudgetFacts, Budgets
from claude_max_proxy.facts.replicas import ReplicaFacts, Replicas
from claude_max_proxy.ledger import Ledger


logger = logging.getLogger(__name__)

_LONGEST_LOOK = 5.0  # seconds


class Under(msgspec.Struct, frozen=True):
    """One request that is being answered."""

    id: str
    model: str
    backend: str
    key: str
    program: str
    session: str
    seconds: float
    first_token: float | None


class Failure(msgspec.Struct, frozen=True):
    """One request that has failed; ``at`` is in seconds since 1970."""

    at: float
    id: str
    status: int
    code: str
    model: str
    error: str


class Report(msgspec.Struct, frozen=True):
    """The state of the proxy. ``now`` is its clock, in seconds since 1970.

    ``windows`` and ``processes`` are by backend. ``ledger`` is ``None`` without a ledger.
    """

    now: float
    version: str
    health: dict[str, Any]
    windows: dict[str, Sequence[PlanWindow]]
    processes: dict[str, Sequence[ProcessFacts]]
    underway: Sequence[Under]
    failures: Sequence[Failure]
    ledger: dict[str, Any] | None
    budgets: Sequence[BudgetFacts] = ()
    replicas: Sequence[ReplicaFacts] = ()


async def report(context: Context, version: str, failures: Sequence[Failure]) -> Report:
    """Return the state of the proxy now; the backends may ask their providers how the plans stand."""
    backends = context.backends
    await asyncio.gather(*(_look(name, backend) for name, backend in backends.items()))
    windows = {name: backend.windows() for name, backend in backends.items()}
    processes = {name: backend.processes() for name, backend in backends.items()}
    ledger = context.find(Ledger)
    budgets = context.find(Budgets)  # type: ignore[type-abstract]  # it finds what derives from it
    replicas = context.find(Replicas)  # type: ignore[type-abstract]  # the same
    return Report(
        time.time(),
        version,
        context.health(),
        {name: found for name, found in windows.items() if found},
        {name: found for name, found in processes.items() if found},
        [_under(record) for record in context.underway()],
        failures,
        msgspec.to_builtins(ledger.state()) if ledger is not None else None,
        budgets.facts() if budgets is not None else (),
        replicas.facts() if replicas is not None else (),
    )


def failure(record: Record) -> Failure:
    """Return what is kept of a failed request."""
    at = record.began + record.total
    return Failure(at, record.id, record.status, record.code, record.model[:200], record.error[:500])


async def _look(name: str, backend: Backend) -> None:
    """Bring a backend's windows up to date; what goes wrong there must not hide the rest."""
    try:
        async with asyncio.timeout(_LONGEST_LOOK):
            await backend.look_at_plan()
    except Exception as error:
        logger.warning("[backends.%s] could not say how its plan stands: %s", name, type(error).__name__)


def _under(record: Record) -> Under:
    client = record.client
    return Under(
        record.id,
        record.model[:200],
        record.backend,
        client.key,
        client.program[:100],
        client.session[:40],
        record.total,
        record.first_token,
    )
