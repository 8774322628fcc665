"""What a new process is asked before it is needed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from claude_max_proxy import Agent
from claude_max_proxy.backends.claude_cli.rehearsal import Rehearsal, lead_nowhere, rehearsal


OLD, NEW = (2, 1, 197), (2, 1, 331)
AGENT = Agent(("Read",), ".")


def requests(lines: bytes) -> list[dict[str, Any]]:
    """Return the requests in these lines."""
    return [json.loads(line)["request"] for line in lines.splitlines()]


def test_a_new_cli_answers_by_itself() -> None:
    """A new CLI is asked for its context, and its base URL is not changed."""
    for agent in (None, AGENT):
        asked = rehearsal(NEW, {"ANTHROPIC_BASE_URL": "http://a"}, agent)
        assert requests(asked.begin) == [{"subtype": "get_context_usage", "detail": "summary"}]
        assert asked.end == b""


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:9", ""])
def test_an_old_cli_is_led_back(base_url: str) -> None:
    """An old CLI cannot reach the provider while it rehearses, and then gets its base URL back."""
    environment = {"ANTHROPIC_BASE_URL": base_url} if base_url else {}
    asked = rehearsal(OLD, environment)
    away, usage = requests(asked.begin)
    (back,) = requests(asked.end)
    assert usage == {"subtype": "get_context_usage"}
    assert "//" not in away["settings"]["env"]["ANTHROPIC_BASE_URL"]
    assert back["settings"] == {"env": {"ANTHROPIC_BASE_URL": base_url}}


def test_no_rehearsal() -> None:
    """If an old CLI might reach a provider nevertheless, it does not rehearse."""
    assert rehearsal(OLD, {}, AGENT) == Rehearsal()
    assert rehearsal(OLD, {"CLAUDE_CODE_USE_BEDROCK": "1"}) == Rehearsal()


def test_led_nowhere() -> None:
    """A CLI that must not ask again gets an address of this machine where nobody can listen."""
    (asked,) = requests(lead_nowhere())
    assert asked["subtype"] == "apply_flag_settings"
    assert asked["settings"] == {"env": {"ANTHROPIC_BASE_URL": "https://127.0.0.1:0"}}
