"""Requests of the Messages API."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from claude_max_proxy import (
    InvalidRequest,
    Request,
)
from claude_max_proxy.dialects.anthropic_messages import AnthropicMessages


DIALECT = AnthropicMessages()
HI = {"role": "user", "content": "hi"}
UNASKED: dict[str, Any] = {"anthropic_thinking": {}}


def body(**fields: Any) -> bytes:
    """Return a body with these fields."""
    return msgspec.json.encode({"model": "m", "max_tokens": 99, "messages": [HI], **fields})


def read(**fields: Any) -> Request:
    """Return the request that is read from a body with these fields."""
    return DIALECT.open(body(**fields)).request


def refused(**fields: Any) -> InvalidRequest:
    """Return the error for a body with these fields."""
    with pytest.raises(InvalidRequest) as caught:
        read(**fields)
    return caught.value
