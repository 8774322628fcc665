"""What keeps the CLI from asking once more by itself."""

from __future__ import annotations

import json

import pytest

from claude_max_proxy.backends.claude_cli.fence import AFTER_CALLS, AFTER_TEXT, Fence
from claude_max_proxy.messages_api import Delta


@pytest.mark.parametrize(
    ("delta", "near"),
    [
        (Delta(text="x" * 9), False),
        (Delta(text="x" * 10), True),
        (Delta(text="é" * 5), True),
        (Delta(partial_json="x" * 10), True),
        (Delta(thinking="xx"), True),
        (Delta(signature="xx"), True),
        (Delta(signature="x"), False),
        (Delta(), False),
    ],
)
def test_near_its_limit(delta: Delta, near: bool) -> None:
    """An answer is near its limit when it has a byte for each token; a thought may be more than it shows."""
    fence = Fence(10)
    fence.add(delta)
    assert fence.is_near is near
    lines, answer = fence.answer(AFTER_TEXT, stray=False)
    assert (bool(lines), fence.closed, answer) == (near, near, {})


def test_it_closes_once() -> None:
    """The CLI is told once that all is too long for it, and what follows calls then is stopped, too."""
    fence = Fence(1)
    fence.add(Delta(text="xx"))
    lines, _ = fence.answer(AFTER_TEXT, stray=False)
    settings = json.loads(lines)["request"]["settings"]
    assert settings == {"env": {"CLAUDE_CODE_BLOCKING_LIMIT_OVERRIDE": "1"}}
    assert fence.answer(AFTER_TEXT, stray=False) == (b"", {})
    assert fence.answer(AFTER_CALLS, stray=False)[1]["continue"] is False


@pytest.mark.parametrize("stray", [False, True])
def test_stray_calls(stray: bool) -> None:
    """The request that follows the results of calls is made, but not where a call was stray."""
    lines, answer = Fence(None).answer(AFTER_CALLS, stray=stray)
    assert lines == b""
    assert answer == ({"continue": False, "stopReason": "the call cannot be answered"} if stray else {})


def test_where_the_cli_is_to_ask_again() -> None:
    """It stays open for an answer that the CLI checks, and lets ask again for."""
    fence = Fence(1, closes=False)
    fence.add(Delta(text="xx"))
    assert fence.answer(AFTER_TEXT, stray=False) == (b"", {})
    assert fence.answer(AFTER_CALLS, stray=False) == (b"", {})


def test_an_unknown_limit() -> None:
    """Where nobody knows how much a model can answer, the least that any can is taken."""
    fence = Fence(None)
    fence.add(Delta(text="x" * 4095))
    assert not fence.is_near
    fence.add(Delta(text="x"))
    assert fence.is_near
