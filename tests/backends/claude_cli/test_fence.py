"""The fence, which keeps the CLI from asking again by itself."""

from __future__ import annotations

import json

import pytest

from claude_max_proxy.anthropic_messages import Delta
from claude_max_proxy.backends.claude_cli.fence import AFTER_CALLS, AFTER_TEXT, Fence


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
    """An answer is near its limit if it has a byte for each token; a thought may be more than it shows."""
    fence = Fence(10)
    fence.add(delta)
    assert fence.is_near is near
    lines, response = fence.respond(AFTER_TEXT, stray=False)
    assert (bool(lines), fence.closed, response) == (near, near, {})


def test_it_closes_once() -> None:
    """The CLI is told only once that everything is too long for it; then the calls' results end it, too."""
    fence = Fence(1)
    fence.add(Delta(text="xx"))
    lines, _ = fence.respond(AFTER_TEXT, stray=False)
    settings = json.loads(lines)["request"]["settings"]
    assert settings == {"env": {"CLAUDE_CODE_BLOCKING_LIMIT_OVERRIDE": "1"}}
    assert fence.respond(AFTER_TEXT, stray=False) == (b"", {})
    assert fence.respond(AFTER_CALLS, stray=False)[1]["continue"] is False


@pytest.mark.parametrize("stray", [False, True])
def test_stray_calls(stray: bool) -> None:
    """The request that follows the results of calls is allowed, unless one of the calls was stray."""
    lines, response = Fence(None).respond(AFTER_CALLS, stray=stray)
    assert lines == b""
    assert response == ({"continue": False, "stopReason": "the call cannot be answered"} if stray else {})


def test_where_the_cli_is_to_ask_again() -> None:
    """The fence stays open if the CLI checks the answer, since it may have to ask again."""
    fence = Fence(1, closes=False)
    fence.add(Delta(text="xx"))
    assert fence.respond(AFTER_TEXT, stray=False) == (b"", {})
    assert fence.respond(AFTER_CALLS, stray=False) == (b"", {})


def test_an_unknown_limit() -> None:
    """If the limit of a model is unknown, the lowest limit of all models is assumed."""
    fence = Fence(None)
    fence.add(Delta(text="x" * 4095))
    assert not fence.is_near
    fence.add(Delta(text="x"))
    assert fence.is_near


@pytest.mark.parametrize(("silent", "closes"), [(True, True), (True, False), (False, True)])
def test_white_space(silent: bool, closes: bool) -> None:
    """After white space alone the fence closes, unless the CLI has to ask again."""
    fence = Fence(None, closes=closes)
    lines, response = fence.respond(AFTER_TEXT, stray=False, silent=silent)
    assert (bool(lines), fence.closed, response) == (silent and closes, silent and closes, {})
