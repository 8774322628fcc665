"""The parts of the view Now as HTML: rendered once for all who look, and only if they have changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from claude_max_proxy.observers.page import rendering
from claude_max_proxy.observers.page.places import HERE


# Each part of the view, and the values that it shows.
PARTS: dict[str, tuple[str, ...]] = {
    "banner": ("inspecting",),
    "state": ("state",),
    "problems": ("problems",),
    "windows": ("windows",),
    "budgets": ("budgets", "more_budgets"),
    "replicas": ("replicas",),
    "today": ("today",),
    "underway": ("underway", "more_underway"),
    "recent": ("recent", "ledger", "example"),
    "processes": ("processes", "processes_line"),
    "reload": ("reload",),
}


class _Part(msgspec.Struct, frozen=True):
    """A part as it was rendered last: of which values, without its times, whole, and in which version."""

    values: Mapping[str, Any]
    bare: str
    html: str
    version: int


class Board:
    """What all readers of the view see; ``version`` is a number that grows with every change."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.version = 0
        self._parts: dict[str, _Part] = {}

    def show(self, facts: Mapping[str, Any]) -> None:
        """Render the parts whose values have changed. The time is in ``now``.

        A part counts as changed if it differs without its times, which go by in the browser itself.
        """
        version = self.version + 1
        for name, names in PARTS.items():
            values = {key: facts[key] for key in names}
            last = self._parts.get(name)
            if last is not None and last.values == values:
                continue
            shown = {"now": facts["now"], "oob": True, "root": HERE, **values}
            bare = rendering.render(f"now/{name}.html", bare=True, **shown)
            if last is not None and last.bare == bare:
                self._parts[name] = msgspec.structs.replace(last, values=values)
            else:
                html = rendering.render(f"now/{name}.html", bare=False, **shown)
                self._parts[name] = _Part(values, bare, html, version)
                self.version = version

    def since(self, version: int) -> str:
        """Return the HTML of the parts that have changed since a version; since 0 that is all of them."""
        return "\n".join(part.html for part in self._parts.values() if part.version > version)
