"""What the page shows of requests that are over."""

from __future__ import annotations

from typing import Any

import pytest

from claude_max_proxy.ledger import Row
from claude_max_proxy.observers.page import history


NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"live": True}, "continued in the process"),
        ({"replayed": "the history differs"}, "replayed into another process: the history differs."),
    ],
)
def test_how_a_conversation_went_on(fields: dict[str, Any], words: str) -> None:
    """It continued in its process, or was replayed for a reason."""
    assert words in history.continued(Row(id="1", began=NOW, **fields))


def test_a_conversation_that_began() -> None:
    """Where nothing is known of an earlier process, nothing is said about it."""
    assert history.continued(Row(id="1", began=NOW)) == ""


@pytest.mark.parametrize(
    ("fields", "deltas"),
    [
        ({"first_token": 1.0, "last_token": 3.0}, "7, 50 tokens a second"),
        ({"first_token": 1.0, "last_token": 1.01}, "7"),
        ({"first_token": 1.0}, "7"),
        ({}, "7"),
    ],
)
def test_the_pace_of_an_answer(fields: dict[str, float], deltas: str) -> None:
    """How fast an answer came is told if it took long enough to be measured."""
    found = dict(history.facts(Row(id="1", began=NOW, output_tokens=100, pieces=7, **fields), NOW))  # type: ignore[arg-type]
    assert found["Deltas"] == deltas


def test_only_what_is_known() -> None:
    """A fact that is not known has no line."""
    row = Row(id="r1", began=NOW, path="/v1/models", backend="claude", upstream_model="opus")
    found = dict(history.facts(row, NOW))
    assert found.pop("Began")
    assert found == {"Answered by": "claude/opus", "API": "none, /v1/models", "Request id": "r1"}
