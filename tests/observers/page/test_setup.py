"""What the page shows of models and of the configuration."""

from __future__ import annotations

import pytest

from claude_max_proxy import ModelEntry
from claude_max_proxy.backend import ModelInfo
from claude_max_proxy.observers.page import setup


def test_where_a_model_leads() -> None:
    """A model of ``[models]`` leads where its entry says, and then elsewhere; others are the provider's."""
    models = {
        "fast": ModelInfo("haiku"),
        "claude-opus-4": ModelInfo("claude-opus-4", owner="anthropic"),
        "local": ModelInfo("local", 8192, 1024, ("text", "image"), efforts=("low", "high")),
    }
    entries = {"fast": ModelEntry("claude/haiku", ["other/small", "other/tiny"])}
    fast, opus, local = setup.model_rows(models, entries)
    assert fast.target == "claude/haiku, then other/small, then other/tiny"
    assert (opus.target, opus.takes) == ("anthropic/claude-opus-4", "–")
    assert local == setup.ModelRow("local", "local", 8192, 1024, "text, image", "low, high")


def test_the_configuration() -> None:
    """Each value is written as in JSON, without escapes; what JSON does not have is written as its text."""
    (table,) = setup.config_tables({"server": {"port": 1, "name": "ünï", "odd": ValueError("x")}})
    assert (table.name, table.values) == ("server", [("port", "1"), ("name", '"ünï"'), ("odd", '"x"')])


@pytest.mark.parametrize(
    ("asked_for", "names", "first"),
    [
        ("mine", ["claude-opus-4", "claude-sonnet-4"], "mine"),
        ("", ["claude-opus-4", "claude-sonnet-4"], "claude-sonnet-4"),
        ("", ["local", "other"], "local"),
        ("", [], ""),
    ],
)
def test_the_model_of_a_chat(asked_for: str, names: list[str], first: str) -> None:
    """A chat begins with the model in the link, or with Sonnet, or with whatever there is."""
    assert setup.chosen(asked_for, names) == first
