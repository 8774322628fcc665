"""Checks messages and their content: roles, blocks and texts.

Sources: github.com/anthropics/claude-code/issues/23352 (white space), /59812 (empty blocks), /6774 (empty
messages), /55302 and vellum-ai/vellum-assistant/pull/30712 (empty blocks with a mark, also in `system`),
tonyljx/TextWordExplain/issues/2 (the first role); helicone/pull/5257 and portkey.ai/error-library/
input-validation-error-10154 (no message); tailcallhq/forgecode/issues/1872 (white space at the end);
smallmain/vscode-unify-chat-provider/issues/249 (prefill); anthropics/claude-code/issues/61412 and
anthropics/skills `shared/prompt-caching.md` (messages of role system: which models, and where).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from claude_max_proxy.testing.strictness.fields import BLOCKS, IN_RESULTS, MESSAGE, OPAQUE_BLOCKS
from claude_max_proxy.testing.strictness.models import model_of
from claude_max_proxy.testing.strictness.shapes import (
    Betas,
    check_fields,
    check_tagged,
    objects,
    tag_of,
    under,
)


Body = dict[str, Any]

_BLOCKS = BLOCKS | {name: {} for name in OPAQUE_BLOCKS}
_INNER = {name: BLOCKS.get(name, {}) for name in IN_RESULTS}
_NO_PREFILL = (
    "This model does not support assistant message prefill. The conversation must end with a user message."
)


class Placed(msgspec.Struct, frozen=True):
    """A block and its path, which ends with the block's tag: `messages.0.content.1.image`."""

    path: str
    block: dict[str, Any]

    @property
    def tag(self) -> str:
        """The kind of the block."""
        return str(self.block["type"])

    @property
    def place(self) -> str:
        """The path without the tag."""
        return self.path.rpartition(".")[0]


def check_shapes(body: Body, betas: Betas) -> Iterator[str]:
    """Yield errors for messages and blocks that do not have the API's form."""
    for place, message in enumerate(body["messages"]):
        path = under("messages", place)
        faults = list(check_fields(message, MESSAGE, path, betas))
        yield from faults
        if not faults:
            yield from _check_blocks(message["content"], _BLOCKS, f"{path}.content", betas)
    yield from _check_blocks(body.get("system"), {"text": BLOCKS["text"]}, "system", betas)


def check_roles(body: Body, _: Betas) -> Iterator[str]:
    """Yield errors for a conversation that is empty, has a wrong role at an end, or has misplaced notes."""
    messages = body["messages"]
    if not messages:
        yield "messages: at least one message is required"
        return
    if messages[0]["role"] != "user":
        yield 'messages: first message must use the "user" role'
    model = model_of(body["model"])
    if messages[-1]["role"] == "assistant" and model and not model.prefill:
        yield _NO_PREFILL
    if model and not model.system_messages and any(one["role"] == "system" for one in messages):
        yield "role 'system' is not supported on this model"
    yield from _check_system_places(messages)


def check_texts(body: Body, _: Betas) -> Iterator[str]:
    """Yield errors for texts that are empty or consist of white space alone, wherever they are."""
    for place, message in enumerate(body["messages"]):
        last = place == len(body["messages"]) - 1 and message["role"] == "assistant"
        # With a beta feature that the newest CLI uses, an empty message may set the effort of a turn.
        sets = message["role"] == "system" and message.get("output_config") is not None
        if not message["content"] and not last and not sets:
            yield (
                f"messages.{place}: all messages must have non-empty content "
                "except for the optional final assistant message"
            )
        if isinstance(message["content"], str) and message["content"] and not message["content"].strip():
            yield "messages: text content blocks must contain non-whitespace text"
    system = body.get("system")
    if isinstance(system, str) and system and not system.strip():
        # We have not seen this error, but as in a message, a string is short for one text block.
        yield "system: text content blocks must contain non-whitespace text"
    for placed in blocks_of(body):
        if placed.tag == "text":
            yield from _check_text(placed)
    yield from _check_end(body["messages"][-1])


def blocks_of(body: Body) -> Iterator[Placed]:
    """Yield all blocks of `system` and of the messages, including those in tool results, in order."""
    yield from _placed(body.get("system"), "system")
    for place, message in objects(body["messages"]):
        for outer in _placed(message["content"], f"messages.{place}.content"):
            yield outer
            if outer.tag == "tool_result":
                yield from _placed(outer.block.get("content"), f"{outer.path}.content")


def _placed(content: object, path: str) -> Iterator[Placed]:
    for place, block in objects(content):
        yield Placed(f"{path}.{place}.{block['type']}", block)


def _check_blocks(content: object, tables: dict[str, Any], path: str, betas: Betas) -> Iterator[str]:
    if not isinstance(content, list):
        return
    for place, block in enumerate(content):
        here = under(path, place)
        tag = tag_of(block)
        if tag not in tables or tables[tag]:
            yield from check_tagged(block, tables, here, betas)
        if tag == "tool_result":
            inner = block.get("content")
            yield from _check_blocks(inner, _INNER, f"{here}.tool_result.content", betas)


def _check_text(placed: Placed) -> Iterator[str]:
    root = placed.path.partition(".")[0]
    text = placed.block["text"]
    if text == "" and placed.block.get("cache_control"):
        where = placed.place if root == "system" else placed.path
        yield f"{where}: cache_control cannot be set for empty text blocks"
    if text == "":
        yield f"{root}: text content blocks must be non-empty"
    elif not text.strip():
        yield f"{root}: text content blocks must contain non-whitespace text"


def _check_end(message: dict[str, Any]) -> Iterator[str]:
    content = message["content"]
    end = content[-1] if content and isinstance(content, list) else content
    text = end.get("text", "") if isinstance(end, dict) else end
    if message["role"] == "assistant" and isinstance(text, str) and text != text.rstrip():
        yield "messages: final assistant content cannot end with trailing whitespace"


def _check_system_places(messages: list[dict[str, Any]]) -> Iterator[str]:
    roles = [message["role"] for message in messages]
    for place, role in enumerate(roles):
        before = roles[place - 1] if place else "nothing"
        after = roles[place + 1] if place + 1 < len(roles) else "assistant"
        if role == "system" and (before, after) != ("user", "assistant"):
            yield (
                f"messages.{place}: role 'system' must follow a user message "
                "and be the last message or be followed by an assistant message"
            )
