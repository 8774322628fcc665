"""What is written for the Messages API."""

from __future__ import annotations

from typing import Any

import msgspec

from claude_max_proxy import (
    Message,
    Request,
    Text,
)
from claude_max_proxy.backends.anthropic_api.settings import AnthropicApiSettings
from claude_max_proxy.backends.anthropic_api.writing import write


HI = Message("user", [Text("hi")])
SCHEMA = {"type": "object", "properties": {"a": {"$ref": "#/x"}}, "x-mine": [1, None]}


def written(request: Request, *, model: str = "m", cache: bool = False, **settings: Any) -> dict[str, Any]:
    """Write a request, and parse the result."""
    made = AnthropicApiSettings(cache=cache, **settings)
    body: dict[str, Any] = msgspec.json.decode(write(request, model, made))
    return body


def asked(**fields: Any) -> Request:
    """Return a request with one word."""
    return Request("x", messages=[Message("user", [Text("hi")])], **fields)


PLAIN = {
    "model": "m",
    "max_tokens": 8192,
    "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
    "stream": True,
}
