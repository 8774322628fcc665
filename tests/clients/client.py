"""A client: a program that people use with the proxy, and the checks that are made with it."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal


if TYPE_CHECKING:
    from tests.clients.stage import Stage


Api = Literal["chat", "responses", "messages"]
CheckFunction = Callable[["Stage"], Awaitable[None]]
FOLDER = Path(__file__).parent
# The files in a client's folder that belong to its checks.
_CHECKS = ("__init__.py", "server.py", "window.py")


@dataclass(frozen=True)
class Check:
    """One thing that a client must be able to do.

    `requests` is how many requests for a model reach the provider, None where that is the client's own
    choice. `within` bounds it, in seconds.
    """

    name: str
    api: Api
    function: CheckFunction
    requests: int | None
    within: float

    @property
    def promise(self) -> str:
        """What works, in one sentence."""
        return " ".join((inspect.getdoc(self.function) or "").split())


@dataclass
class Client:
    """A client and its checks, in the order in which they run.

    `name` is its folder's name with hyphens, its page's name and its table in `versions.toml`. `title` is
    what its makers call it. `quick` ones run in `make test` too, those that are `here` with the packages of
    the tests' own environment. `apart` says why it is not run. `environment` is set for its commands, for
    example to keep it from telling its makers about them.
    """

    name: str
    title: str
    quick: bool = False
    here: bool = False
    apart: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)

    def check(
        self, *apis: Api, requests: int | None, within: float = 300.0
    ) -> Callable[[CheckFunction], CheckFunction]:
        """Add the decorated function as a check by each of these APIs, chat completions where none is named.

        Its name and its docstring say what it is about.
        """

        def add(function: CheckFunction) -> CheckFunction:
            name = function.__name__.replace("_", " ")
            self.checks += [Check(name, api, function, requests, within) for api in apis or ("chat",)]
            return function

        return add

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return FOLDER / self.name.replace("-", "_")

    @property
    def files(self) -> list[Path]:
        """What its user writes or runs: everything in its folder but its checks."""
        return [path for path in sorted(self.folder.glob("*")) if path.is_file() and path.name not in _CHECKS]

    @property
    def shown(self) -> list[Path]:
        """Those of its files that its page shows: all but what only the checks need."""
        return [path for path in self.files if path.stem != "program"]
