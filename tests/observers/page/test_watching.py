"""What the view Now shows while the ledger is slow, and how templates are loaded."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import pytest

from claude_max_proxy import Backend, Context
from claude_max_proxy.ledger import Ledger, Row, State, Usage
from claude_max_proxy.observers.page import rendering
from claude_max_proxy.observers.page.watching import Watching


class SlowLedger:
    """A ledger that answers when a test lets it."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.asked = 0

    def state(self) -> State:
        """Return that all is well."""
        return State(place="a file", written=1)

    async def usage(self, *_: Any) -> list[Usage]:
        """Wait until the test lets it answer."""
        self.asked += 1
        await self.opened.wait()
        return []

    async def requests(self, limit: int) -> list[Row]:
        """Return one request."""
        return [Row(id="r1", began=1.0, model="m")]


class Quiet:
    """A proxy that does nothing and has this ledger."""

    backends: Mapping[str, Backend]

    def __init__(self, ledger: SlowLedger) -> None:
        self._ledger = ledger
        self.backends = {}

    def find(self, type_: type[Any]) -> Any:
        """Return the ledger, and nothing else."""
        return self._ledger if type_ is Ledger else None

    def health(self) -> dict[str, Any]:
        """Return that all is well."""
        return {"status": "ok"}

    def underway(self) -> list[Any]:
        """Return that nobody asks anything."""
        return []

    def last_reload(self) -> None:
        """Return that there was none."""


async def test_nobody_waits_for_a_slow_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    """The view is there before the ledger has answered, asks it once, and shows the answer when it comes."""
    monkeypatch.setattr("claude_max_proxy.observers.page.watching._FRESH", -1.0)
    ledger = SlowLedger()
    watching = Watching(cast("Context", Quiet(ledger)))
    async with asyncio.timeout(10):
        for _ in range(3):
            facts = await watching.facts()
            assert facts["recent"] is None
            assert {tile.value for tile in facts["today"]} == {"–"}
        assert ledger.asked == 1
        ledger.opened.set()
        while (facts := await watching.facts())["recent"] is None:  # noqa: ASYNC110  # the machine may be busy
            await asyncio.sleep(0)
    assert [row.id for row in facts["recent"]] == ["r1"]
    assert facts["today"][0].value == "0"
    assert ledger.asked == 1


def test_a_template_comes_with_what_it_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a view extends, imports or includes is loaded with it, and nothing else is."""
    monkeypatch.setattr(rendering, "_ready", set())
    rendering.prepare("now.html")
    assert {"base.html", "parts.html", "now/banner.html", "now/recent.html"} <= rendering._ready
    assert not rendering.is_prepared("usage.html")
    for name in rendering.environment().list_templates(extensions=["html"]):
        rendering.prepare(name)
        assert rendering.is_prepared(name)
