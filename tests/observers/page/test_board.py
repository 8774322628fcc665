"""What the readers of the view Now share: its parts, rendered when they change."""

from __future__ import annotations

from typing import Any

import pytest

from claude_max_proxy import Record
from claude_max_proxy.facts.inspection import Inspecting
from claude_max_proxy.observers.page import board as module
from claude_max_proxy.observers.page import now, rendering
from claude_max_proxy.observers.page.board import PARTS, Board


NOW = 1_800_000_000.0


def facts(**changed: Any) -> dict[str, Any]:
    """Return what is seen of a proxy that does nothing."""
    nothing: dict[str, Any] = dict.fromkeys(
        ("windows", "budgets", "replicas", "today", "recent", "problems", "processes", "underway"), ()
    )
    return {
        **nothing,
        "now": NOW,
        "state": now.State("good", "All is well"),
        "more_budgets": 0,
        "more_underway": 0,
        "processes_line": "none",
        "reload": None,
        "ledger": True,
        "example": "curl http://127.0.0.1",
        "inspecting": None,
        **changed,
    }


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets the name of every template that is rendered."""
    names: list[str] = []

    def render(template: str, **values: Any) -> str:
        names.append(template)
        return rendering.render(template, **values)

    fake = type("Rendering", (), {"render": staticmethod(render)})
    monkeypatch.setattr(module, "rendering", fake)
    return names


def test_everything_at_first() -> None:
    """Whoever comes gets every part, once, as one that replaces the part of the page."""
    board = Board()
    assert board.since(0) == ""
    board.show(facts())
    html = board.since(0)
    for part in PARTS:
        assert html.count(f'id="{part}"') == 1
    assert html.count('hx-swap-oob="outerMorph"') == len(PARTS)


def test_nothing_is_done_while_nothing_changes(rendered: list[str]) -> None:
    """However often somebody looks, only what has changed is rendered and sent."""
    board = Board()
    board.show(facts())
    version = board.version
    rendered.clear()
    for second in range(20):
        board.show(facts(now=NOW + second))
    assert rendered == []
    assert board.since(version) == ""
    board.show(facts(state=now.State("warn", "1 problem")))
    assert set(rendered) == {"now/state.html"}
    assert board.since(version).count("id=") == 1
    assert "1 problem" in board.since(version)
    assert board.since(board.version) == ""


def test_a_late_reader_misses_nothing() -> None:
    """Who has seen an old version gets everything that has changed since, in its newest form."""
    board = Board()
    board.show(facts())
    old = board.version
    board.show(facts(inspecting=Inspecting("me", NOW + 60)))
    board.show(facts(inspecting=Inspecting("me", NOW + 60), processes_line="2"))
    board.show(facts(processes_line="3"))
    html = board.since(old)
    assert html.count('id="banner"') == html.count('id="processes"') == 1
    assert "The inspector is on" not in html
    assert "<p>3</p>" in html


def test_times_that_go_by_are_no_change() -> None:
    """A process that gets older, and a request that takes longer, are no news."""

    def seen(after: float) -> dict[str, Any]:
        request = now.underway([Record("m", began=NOW - 3, backend="b")])
        began = NOW - 10 + after * 1e-5  # it is computed from an age, which was measured
        process = now.Process("warm", "good", "m", began, 1, 4.0 * 2**20, "")
        return facts(now=NOW + after, underway=request, processes=[process])

    board = Board()
    board.show(seen(0))
    version = board.version
    for second in range(1, 10):
        board.show(seen(second))
    assert board.version == version
