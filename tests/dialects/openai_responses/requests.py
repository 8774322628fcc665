"""Requests of the Responses API."""

from __future__ import annotations

from typing import Any

import msgspec

from claude_max_proxy import (
    Request,
)
from claude_max_proxy.dialects.openai_responses import OpenAIResponses


PIXEL = "iVBORw0KGgo="
PNG = f"data:image/png;base64,{PIXEL}"
PDF = "data:application/pdf;base64,JVBERi0x"
READ = {"type": "function", "name": "read", "parameters": {"type": "object"}}
PATCH = {"type": "custom", "name": "patch", "description": "d"}
OUTPUT = {"type": "function_call_output", "call_id": "call1", "output": "done"}


def body(*items: Any, **fields: Any) -> bytes:
    """Return a request's body, with one user message unless items are given."""
    return msgspec.json.encode({"model": "m", "input": list(items) or "hi", **fields})


def read(*items: Any, **fields: Any) -> Request:
    """Return what the dialect reads from such a body."""
    return OpenAIResponses().open(body(*items, **fields)).request


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    """Return a user's message with these parts."""
    return {"type": "message", "role": "user", "content": list(parts)}


def text(text: str) -> dict[str, Any]:
    """Return a part of text."""
    return {"type": "input_text", "text": text}


BOX = {"type": "namespace", "name": "box", "description": "d", "tools": [READ, PATCH]}
