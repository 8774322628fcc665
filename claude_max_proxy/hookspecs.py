"""The specifications of all hooks, on one page.

A plugin implements a hook by a function of the same name that is marked with ``claude_max_proxy.hookimpl``.
It may take any of the arguments that the specification has, and can leave the others out. ``settings`` is
always the plugin's own table ``[plugins.<name>]``, converted into its ``Settings`` struct. Hooks that are
called for a request may be ``def`` or ``async def``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import pluggy

from claude_max_proxy.backend import Backend, Target
from claude_max_proxy.check import Check
from claude_max_proxy.config import Config
from claude_max_proxy.context import Context
from claude_max_proxy.dialect import Dialect
from claude_max_proxy.events import Event, Events
from claude_max_proxy.record import Record
from claude_max_proxy.request import Request
from claude_max_proxy.route import Route


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
        """Return the backend; this must do no I/O."""


class RegisterDialect(Protocol):
    """Adds a client API."""

    def __call__(self, dialect: Dialect) -> None:
        """Make the proxy serve ``dialect`` on its routes."""


class RegisterRoute(Protocol):
    """Adds a route."""

    def __call__(self, route: Route) -> None:
        """Make the proxy serve ``route``."""


class RegisterCheck(Protocol):
    """Adds a check to ``claude-max-proxy doctor``."""

    def __call__(self, check: Check) -> None:
        """Run ``check`` after those that were registered before it."""


# --- Registration: called once while a configuration is built ---------------------------------------------


@hookspec
def register_backends(register: RegisterBackend, settings: Any) -> None:
    """Add backend types, by calling ``register`` for each of them."""


@hookspec
def register_dialects(register: RegisterDialect, settings: Any) -> None:
    """Add client APIs, by calling ``register`` with a dialect for each of them."""


@hookspec
def register_routes(register: RegisterRoute, context: Context, settings: Any) -> None:
    """Add routes that the plugin answers itself, by calling ``register`` for each of them.

    ``context`` is for the handlers: while the routes are registered, nothing is running yet.
    """


@hookspec
def register_commands(cli: click.Group) -> None:
    """Add subcommands to the command ``claude-max-proxy``."""


@hookspec
def register_checks(
    register: RegisterCheck, config: Config, backends: Mapping[str, Backend], settings: Any
) -> None:
    """Add checks to ``claude-max-proxy doctor``, by calling ``register`` for each of them.

    If ``proxy.toml`` cannot be used, ``config`` and ``backends`` are the defaults. The backends are not
    started.
    """


# --- Decisions: asked in order, the first answer that is not None wins ------------------------------------


@hookspec(firstresult=True)
def map_model(request: Request, config: Config, settings: Any) -> Target | str | None:
    """Return which backend and upstream model ``request.model`` stands for.

    The answer is ``"backend/model"`` or a ``Target``, or ``None`` to leave the decision to others.
    """


@hookspec(firstresult=True)
def select_backend(
    request: Request, target: Target, backends: Mapping[str, Backend], settings: Any
) -> str | None:
    """Send a request to another backend than that of ``target``, to which it would go so far.

    The answer is the name of a backend or ``"backend/model"``, or ``None`` to leave the decision to others.
    """


# --- Admission: all are called, in order; each may refuse the request ---------------------------------------


@hookspec
def admit_request(request: Request, target: Target, context: Context, settings: Any) -> None:
    """Refuse a request by raising a :class:`ProxyError`, or note what it may use.

    It is called for every request that asks a model, for an answer, for embeddings or for a count of tokens,
    as soon as it is known what the model's name stands for. ``log_request`` always gets the record with the
    same ``id`` later, also if another plugin refuses the request.
    """


# --- Changes: all are called, in order; each may change the request in place --------------------------------


@hookspec
def rewrite_request(request: Request, settings: Any) -> None:
    """Change a request in place before it is answered, for example to redact, add or limit something."""


@hookspec
def wrap_events(request: Request, events: Events, settings: Any) -> AsyncIterator[Event] | None:
    """Change or watch the answer: return an async iterator that replaces ``events``, or ``None``.

    If the hook is written as an async generator, that is the iterator. The new events must follow the same
    grammar as all events do.
    """


# --- Announcements: all are called; nothing they do changes the answer --------------------------------------


@hookspec
def log_request(record: Record, settings: Any) -> None:
    """Take note of one finished request."""


@hookspec
def configured(old: Config | None, new: Config, context: Context, settings: Any) -> None:
    """Take note that the configuration ``new`` has replaced ``old``, which is ``None`` at the start.

    The backends have been started by then.
    """


@hookspec
def shutdown(settings: Any) -> None:
    """Close what this plugin has opened, since its configuration goes out of use."""
