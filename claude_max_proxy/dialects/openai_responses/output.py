"""Writes the items of a response's ``output``, one for each part of an answer."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec

from claude_max_proxy import PartStarted, Reasoning, Text, ToolCall, formats
from claude_max_proxy.dialects.openai_responses.free_text import Unwrapping
from claude_max_proxy.dialects.openai_responses.thoughts import seal
from claude_max_proxy.dialects.openai_responses.tools import Origin, Origins


Item = dict[str, Any]


class Items(msgspec.Struct, frozen=True):
    """Writes items for one request, with tools as the client knows them, and with or without thoughts."""

    origins: Origins
    shows_thoughts: bool = False

    def begun(self, part: PartStarted) -> Item:
        """Return the item for a part that begins, with a new id."""
        match part.kind:
            case "text":
                return _message(item_id("msg"), "in_progress", [])
            case "reasoning":
                return {"id": item_id("rs"), "type": "reasoning", "summary": [], "status": "in_progress"}
            case "tool_call":
                return self._call(ToolCall(part.id, part.name, ""), "in_progress")

    def ended(self, part: Text | Reasoning | ToolCall, id_: str | None = None) -> Item:
        """Return the item for a part that is complete, with the id ``id_`` or a new one."""
        match part:
            case Text(text=text):
                return _message(id_ or item_id("msg"), "completed", [output_text(text)])
            case Reasoning():
                return self._thought(part, id_ or item_id("rs"))
            case ToolCall():
                return self._call(part, "completed", id_)

    def _origin(self, name: str) -> Origin:
        return self.origins.get(name) or Origin(name)

    def _thought(self, thought: Reasoning, id_: str) -> Item:
        shown = self.shows_thoughts and bool(thought.text)
        item: Item = {
            "id": id_,
            "type": "reasoning",
            "summary": [summary_text(thought.text)] if shown else [],
            "status": "completed",
        }
        if sealed := seal(thought, shown=shown):
            item["encrypted_content"] = sealed
        return item

    def _call(self, call: ToolCall, status: str, id_: str | None = None) -> Item:
        origin = self._origin(call.name)
        kind, prefix = ("custom_tool_call", "ctc") if origin.custom else ("function_call", "fc")
        item: Item = {
            "id": id_ or item_id(prefix),
            "type": kind,
            "status": status,
            "call_id": formats.tool_ids.for_openai(call.id),
            "name": origin.name,
        }
        if origin.custom:
            unwrapping = Unwrapping()
            unwrapping.feed(call.arguments)
            item["input"] = unwrapping.end()[1]
        else:
            item["arguments"] = call.arguments
        if origin.namespace:
            item["namespace"] = origin.namespace
        return item


def new_id(prefix: str) -> str:
    """Return a new id with this prefix, which nobody can guess."""
    return f"{prefix}_{secrets.token_hex(16)}"


def item_id(prefix: str) -> str:
    """Return a new id of an item; it sorts after those made before, because clients sort."""
    return f"{prefix}_{formats.tool_ids.next_number():016x}{secrets.token_hex(8)}"


def output_text(text: str) -> Item:
    """Return the only content part of a message."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def summary_text(text: str) -> Item:
    """Return the only part of a thought's summary."""
    return {"type": "summary_text", "text": text}


def _message(id_: str, status: str, content: list[Item]) -> Item:
    return {"id": id_, "type": "message", "status": status, "role": "assistant", "content": content}
