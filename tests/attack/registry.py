"""What an attack is, and all attacks by name: each module of attacks adds its own when it is imported."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from tests.attack.stage import Stage

CONCERNS = (
    "connections",
    "framing",
    "doors",
    "bodies",
    "upstreams",
    "plugins",
    "configuration",
    "processes",
    "fairness",
)
"""The modules that hold attacks, in the order in which they run."""
Run = Callable[["Stage"], Awaitable[None]]


@dataclass(frozen=True)
class Attack:
    """One attack, and what it may cost.

    `shows` says what is right. `bound` is how long an honest client may wait meanwhile, in seconds, and
    `honest` is what that client asks: "http" is the backend over HTTP and "cli" the real CLI. `memory` is how
    much the proxy may grow by, in MB, at its peak, and `descriptors` how many more may be open afterwards,
    such as connections to providers that are kept. `limit` is how long the attack itself may take, in seconds
    at scale 1. `quick` says that it also runs as a test, which only attacks do that the proxy is known to
    withstand. With `alone` it gets a separate proxy; with `cli`, one with the real CLI. With `traceback`, the
    log may contain the traceback of a plugin that fails.
    """

    name: str
    concern: str
    shows: str
    run: Run
    quick: bool = False
    bound: float = 5.0
    honest: tuple[str, ...] = ("http",)
    memory: int = 100
    descriptors: int = 24
    limit: float = 60.0
    alone: bool = False
    cli: bool = False
    traceback: bool = False


_ATTACKS: list[Attack] = []


def attack(name: str, **options: Any) -> Callable[[Run], Run]:
    """Make an attack of a coroutine function; the first line of its docstring says what should happen."""

    def add(run: Run) -> Run:
        _add(name, run, run, options)
        return run

    return add


def attacks(*rows: tuple[str, Any], **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make one attack of each row, whose second half is passed to the function after the stage."""

    def add(run: Callable[..., Any]) -> Callable[..., Any]:
        for name, case in rows:
            _add(name, partial(_with, run, case), run, options)
        return run

    return add


async def _with(run: Callable[..., Any], case: Any, stage: Stage) -> None:
    await run(stage, case)


def _add(name: str, run: Run, told: Callable[..., Any], options: dict[str, Any]) -> None:
    concern = told.__module__.rpartition(".")[2]
    shows = (told.__doc__ or "").strip().partition("\n")[0]
    assert shows, f"the attack {name!r} does not say what is right"
    assert all(name != other.name for other in _ATTACKS), f"two attacks are called {name!r}"
    _ATTACKS.append(Attack(name, concern, shows, run, **options))


def every(*wanted: str) -> list[Attack]:
    """Return the attacks whose name or concern contains one of these words, or all without words."""
    for concern in CONCERNS:
        importlib.import_module(f"tests.attack.{concern}")
    ordered = sorted(_ATTACKS, key=lambda one: CONCERNS.index(one.concern))
    return [one for one in ordered if not wanted or any(w in f"{one.concern}: {one.name}" for w in wanted)]
