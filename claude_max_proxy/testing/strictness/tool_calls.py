"""Checks calls and results: each call is answered once, in the next message, and each result has a call.

Sources: github.com/anthropics/claude-code/issues/5989 (calls without results), /13460 (results without
calls), /14110 (two results), /20901 (ids that are not unique), /6696 (input that is no object);
ClawRouter/issues/17 (the pattern of ids); tghamm/Anthropic.SDK/issues/128 (results are in user messages, from
which follows that calls and thoughts are in the assistant's); platform.claude.com/docs
`agents-and-tools/tool-use/ handle-tool-calls` (results come before anything else, with the same error).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from claude_max_proxy.testing.strictness.content import Body, blocks_of
from claude_max_proxy.testing.strictness.shapes import Betas, objects


_ID = re.compile(r"[a-zA-Z0-9_-]+")
_PATTERN = "String should match pattern '^[a-zA-Z0-9_-]+$'"
_ROLES = {
    "tool_use": "assistant",
    "thinking": "assistant",
    "redacted_thinking": "assistant",
    "tool_result": "user",
}
"""The role whose messages may contain a block of this kind."""


class _Turn(msgspec.Struct):
    """Neighbouring messages of one role, which the API treats as one: the first index, and all blocks."""

    place: int
    role: str
    blocks: list[tuple[str, dict[str, Any]]]

    def ids(self, tag: str, name: str) -> list[str]:
        """Return the ids in the blocks of this kind."""
        return [block[name] for _, block in self.blocks if block["type"] == tag]

    def leading_results(self) -> list[str]:
        """Return the ids of the results that come before anything else."""
        found = []
        for _, block in self.blocks:
            if block["type"] != "tool_result":
                break
            found.append(block["tool_use_id"])
        return found


def check_sides(body: Body, _: Betas) -> Iterator[str]:
    """Yield errors for calls and thoughts in a user's message, and for results in the assistant's."""
    for place, message in enumerate(body["messages"]):
        for _place, block in objects(message["content"]):
            tag = block["type"]
            if _ROLES.get(tag, message["role"]) != message["role"]:
                yield f"messages.{place}: `{tag}` blocks can only be in `{_ROLES[tag]}` messages"


def check_ids(body: Body, _: Betas) -> Iterator[str]:
    """Yield errors for ids that do not have the API's form, and for calls that have the same id."""
    known = set()
    for placed in blocks_of(body):
        name = {"tool_use": "id", "tool_result": "tool_use_id"}.get(placed.tag)
        if name is None:
            continue
        if not _ID.fullmatch(placed.block[name]):
            yield f"{placed.path}.{name}: {_PATTERN}"
        if placed.tag == "tool_use":
            if placed.block["id"] in known:
                yield f"{placed.place}: `tool_use` ids must be unique"
            known.add(placed.block["id"])


def check_pairs(body: Body, _: Betas) -> Iterator[str]:
    """Yield errors for calls that the next message does not answer, and for results without a call before."""
    turns = _turns(body)
    nothing = _Turn(-1, "", [])
    for before, turn, after in zip([nothing, *turns], turns, [*turns[1:], nothing], strict=False):
        yield from _check_answered(turn, after)
        yield from _check_asked(before, turn)


def _check_answered(turn: _Turn, after: _Turn) -> Iterator[str]:
    answered = after.leading_results() if after.role == "user" else []
    missing = [one for one in turn.ids("tool_use", "id") if one not in answered]
    if missing:
        yield (
            f"messages.{turn.place}: `tool_use` ids were found without `tool_result` blocks immediately "
            f"after: {', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` "
            "block in the next message."
        )


def _check_asked(before: _Turn, turn: _Turn) -> Iterator[str]:
    asked = before.ids("tool_use", "id") if before.role == "assistant" else []
    answered = set()
    for path, block in turn.blocks:
        if block["type"] != "tool_result":
            continue
        call = block["tool_use_id"]
        if call in answered:
            yield (
                f"{path}: each tool_use must have a single result. "
                f"Found multiple `tool_result` blocks with id: {call}"
            )
        if call not in asked:
            yield (
                f"{path}: unexpected `tool_use_id` found in `tool_result` blocks: {call}. Each "
                "`tool_result` block must have a corresponding `tool_use` block in the previous message."
            )
        answered.add(call)


def _turns(body: Body) -> list[_Turn]:
    turns: list[_Turn] = []
    for place, message in enumerate(body["messages"]):
        if message["role"] == "system":
            continue
        if not turns or turns[-1].role != message["role"]:
            turns.append(_Turn(place, message["role"], []))
        content = message["content"]
        blocks = [(0, {"type": "text"})] if isinstance(content, str) else objects(content)
        turns[-1].blocks += [(f"messages.{place}.content.{at}", block) for at, block in blocks]
    return turns
