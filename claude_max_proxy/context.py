"""What a plugin may see of the running proxy, and what plugins offer to one another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from claude_max_proxy.backend import Backend, ModelInfo
from claude_max_proxy.config import Config
from claude_max_proxy.record import Record


__all__ = [
    "Context",
    "PluginFacts",
    "Reload",
]

_Thing = TypeVar("_Thing")


class PluginFacts(msgspec.Struct, frozen=True):
    """One plugin: where it comes from, which hooks it implements, and how often it has failed.

    ``enabled`` says that it is in use. ``problem`` says why the newest version of its file is not.
    """

    name: str
    origin: str
    hooks: Sequence[str] = ()
    failures: int = 0
    enabled: bool = True
    problem: str = ""


class Reload(msgspec.Struct, frozen=True):
    """The last reload: its time, in seconds since 1970, and what it changed, in words, without any value."""

    at: float
    changes: Sequence[str] = ()


class Context(ABC):
    """What a plugin may see of the running proxy. Each configuration has its own.

    - ``config``: the configuration in force.
    - ``backends``: the backends by their names.
    """

    config: Config
    backends: Mapping[str, Backend]

    @abstractmethod
    def models(self) -> dict[str, ModelInfo]:
        """Return descriptions of the models on offer, by the names that clients use."""

    @abstractmethod
    def health(self) -> dict[str, Any]:
        """Return the state of the proxy and of its backends, as ``/health`` shows it."""

    @abstractmethod
    def settings(self) -> dict[str, dict[str, Any]]:
        """Return the tables of the configuration in force, by names such as ``backends.claude``.

        They have every default, and secrets are masked.
        """

    @abstractmethod
    def underway(self) -> list[Record]:
        """Return a record of each request that is being answered, the oldest first.

        Their ``status`` is 0, and ``total`` is the time until now.
        """

    @abstractmethod
    def plugins(self) -> list[PluginFacts]:
        """Return the plugins, in the order in which their hooks are called; those not in use come last."""

    @abstractmethod
    def last_reload(self) -> Reload | None:
        """Return the last reload that changed the configuration; ``None`` if there was none."""

    @abstractmethod
    def offer(self, thing: object) -> None:
        """Let other plugins find ``thing`` by its type.

        A plugin offers things in its hook ``configured``, with every configuration again.
        """

    @abstractmethod
    def find(self, type_: type[_Thing]) -> _Thing | None:
        """Return what a plugin has offered that has this type, or ``None``."""
