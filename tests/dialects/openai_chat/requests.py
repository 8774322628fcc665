"""Requests of Chat Completions."""

from __future__ import annotations

from typing import Any

import msgspec

from claude_max_proxy import (
    Request,
)
from claude_max_proxy.dialects.openai_chat import OpenAIChat


USER = {"role": "user", "content": "hi"}
READ = {"type": "function", "function": {"name": "read", "parameters": {"type": "object"}}}


def allowed(mode: str, *names: str) -> dict[str, Any]:
    """Return a choice that allows the tools of these names."""
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


def body(*messages: Any, **fields: Any) -> bytes:
    """Return a request's body, with one user message unless others are given."""
    return msgspec.json.encode({"model": "m", "messages": list(messages) or [USER], **fields})


def read(*messages: Any, **fields: Any) -> Request:
    """Return what the dialect reads from such a body."""
    return OpenAIChat().open(body(*messages, **fields)).request


def at(content: Any) -> bytes:
    """Return a body whose only message has this content."""
    return body({"role": "user", "content": content})


def image(url: Any) -> bytes:
    """Return a body with this image."""
    return at([{"type": "image_url", "image_url": {"url": url}}])


def file(**fields: Any) -> bytes:
    """Return a body with this file."""
    return at([{"type": "file", "file": fields}])


SPEECH = {"data": "AA", "format": "wav"}
