"""What each Claude model accepts, found by its name on any platform."""

from __future__ import annotations

from typing import Any

import pytest

from claude_max_proxy.anthropic_messages import abilities_of


NAMES: list[tuple[str, dict[str, Any]]] = [
    ("claude-2.1", {"sampling": "all", "thinking": "none"}),
    ("claude-3-5-haiku-20241022", {"sampling": "all", "thinking": "none", "efforts": (), "known": True}),
    ("claude-3-7-sonnet-latest", {"thinking": "budget", "known": True}),
    ("claude-sonnet-4-20250514", {"sampling": "all", "thinking": "budget", "known": True}),
    ("claude-opus-4-1-20250805", {"sampling": "one", "known": True}),
    ("claude-haiku-4-5@20251001", {"sampling": "one", "thinking": "budget", "efforts": (), "known": True}),
    ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", {"sampling": "one", "thinking": "budget"}),
    ("anthropic/claude-opus-4.6", {"thinking": "either", "efforts": ("low", "medium", "high", "max")}),
    ("claude-opus-4-7", {"sampling": "none", "off": "disabled", "forced": True}),
    ("claude-opus-5", {"off": "disabled", "off_efforts": ("low", "medium", "high")}),
    ("claude-sonnet-5[1m]", {"sampling": "none", "off": "disabled", "known": True}),
    ("claude-sonnet-5-5", {"off": "between_tools", "forced": False, "known": True}),
    ("claude-haiku-5-5", {"off": "disabled", "forced": True, "known": True}),
    ("claude-opus-5-5", {"off": "", "forced": False, "known": True}),
    ("claude-fable-5", {"off": "", "forced": True}),
    ("claude-mythos-preview", {"off": "", "forced": False, "known": True}),
    # newer than the table: like the newest one of its family in it, without what is uncertain
    ("claude-opus-7-1", {"off": "", "forced": False, "known": False}),
    ("claude-sonnet-6-20270101", {"off": "between_tools", "known": False}),
    ("claude-opus-4-9", {"sampling": "none", "off": "disabled", "known": False}),
    ("claude-saga-8", {"off": "", "forced": False, "known": False}),
]


@pytest.mark.parametrize(("name", "abilities"), NAMES)
def test_models(name: str, abilities: dict[str, Any]) -> None:
    """A model's row is found by its name, on any platform."""
    found = abilities_of(name)
    assert {key: getattr(found, key) for key in abilities} == abilities


@pytest.mark.parametrize("name", ["sonnet", "glm-4.6", "gpt-4o", "claude", "claude-x", ""])
def test_other_names(name: str) -> None:
    """Nothing is returned for names that are not of a Claude model, or do not say which model."""
    assert abilities_of(name) is None
