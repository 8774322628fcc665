"""Every hook, on one page.

A hook is implemented by a function of the same name, marked with ``claude_max_proxy.hookimpl``, that takes
any of the arguments named here. ``settings`` is always the plugin's own ``[plugins.<name>]``, converted into
its ``Settings`` struct. Hooks that are called for a request may be ``def`` or ``async def``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import pluggy

from claude_max_proxy.backend import Backend, Target
from claude_max_proxy.check import Check
from claude_max_proxy.config import Config
from claude_max_proxy.dialect import Dialect
from claude_max_proxy.events import Event, Events
from claude_max_proxy.record import Record
from claude_max_proxy.request import Request


if TYPE_CHECKING:
    import click


PROJECT = "claude_max_proxy"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class RegisterBackend(Protocol):
    """Adds a backend type: ``register("claude-cli", Settings, build)``."""

    def __call__(self, type_: str, settings: type[msgspec.Struct], build: BuildBackend) -> None:
        """Make ``type = type_`` available to ``[backends.<name>]``."""


class BuildBackend(Protocol):
    """Builds one backend from its name and its converted settings."""

    def __call__(self, name: str, settings: Any) -> Backend:
        """Build it, without I/O."""


class RegisterDialect(Protocol):
    """Adds a client API."""

    def __call__(self, dialect: Dialect) -> None:
        """Serve ``dialect`` on its routes."""


class RegisterCheck(Protocol):
    """Adds a line to ``claude-max-proxy doctor``."""

    def __call__(self, check: Check) -> None:
        """Run ``check`` after those that were registered before it."""


# --- Registration: called once while a configuration is built ---------------------------------------------


@hookspec
def register_backends(register: RegisterBackend, settings: Any) -> None:
    """Add backend types."""


@hookspec
def register_dialects(register: RegisterDialect, settings: Any) -> None:
    """Add client APIs."""


@hookspec
def register_commands(cli: click.Group) -> None:
    """Add subcommands of ``claude-max-proxy``."""


@hookspec
def register_checks(
    register: RegisterCheck, config: Config, backends: Mapping[str, Backend], settings: Any
) -> None:
    """Add checks to ``claude-max-proxy doctor``.

    Where ``proxy.toml`` is broken, ``config`` and ``backends`` are the defaults. No backend is started.
    """


# --- Decisions: asked in order, the first answer that is not None wins ------------------------------------


@hookspec(firstresult=True)
def map_model(request: Request, config: Config, settings: Any) -> Target | str | None:
    """Say which backend and upstream model ``request.model`` means: ``"backend/model"`` or a ``Target``."""


@hookspec(firstresult=True)
def select_backend(
    request: Request, target: Target, backends: Mapping[str, Backend], settings: Any
) -> str | None:
    """Override where a request goes, ``target`` so far, by a backend's name or ``"backend/model"``."""


# --- Changes: all are called, in order; each may change the request in place --------------------------------


@hookspec
def rewrite_request(request: Request, settings: Any) -> None:
    """Change a request before it is answered: redact, inject, cap."""


@hookspec
def wrap_events(request: Request, events: Events, settings: Any) -> AsyncIterator[Event] | None:
    """Change or watch the answer: give an async iterator around ``events``, or ``None`` to stay out.

    Written as an async generator it is the iterator itself. The events must keep their grammar.
    """


# --- Announcements: all are called; nothing they do changes the answer --------------------------------------


@hookspec
def log_request(record: Record, settings: Any) -> None:
    """Hear about one finished request."""


@hookspec
def configured(old: Config | None, new: Config, settings: Any) -> None:
    """Hear that ``new`` is in force, in the place of ``old``; ``None`` at the start."""


@hookspec
def shutdown(settings: Any) -> None:
    """Hear that this plugin's configuration goes out of use: close what was opened."""
