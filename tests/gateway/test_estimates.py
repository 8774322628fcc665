"""The estimate of how many tokens a request has."""

from __future__ import annotations

import base64

import pytest

from claude_max_proxy import (
    Audio,
    File,
    Image,
    Message,
    Part,
    Reasoning,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolResult,
)
from claude_max_proxy.gateway.estimates import estimate_tokens


def of(*parts: Part) -> int:
    """Return the estimate for a message of these parts."""
    return estimate_tokens(Request("m", messages=[Message("user", list(parts))]))


def test_text() -> None:
    """A page of English is estimated about right; texts add up; an empty request still counts as one."""
    page = "The quick brown fox jumps over the lazy dog. " * 40
    assert 380 < of(Text(page)) < 600
    assert of(Text(page), Text(page)) > 1.9 * of(Text(page))
    assert estimate_tokens(Request("m")) == 1


@pytest.mark.parametrize(
    ("part", "least"),
    [
        (Image("image/png", "A" * 9_999_999), 1600),
        (File("application/pdf", "A" * 200_000), 6000),
        (File("text/plain", base64.b64encode(b"word " * 700).decode()), 1000),
        (Audio("A" * 400, "wav"), 25),
        (Audio("A" * 32_000 * 80, "wav"), 1500),
        (Reasoning("word " * 700), 1000),
        (ToolCall("c", "f", "word " * 700), 1000),
        (ToolResult("c", (Text("word " * 700), Image(url="https://a"))), 2600),
    ],
)
def test_parts(part: Part, least: int) -> None:
    """Each part counts as what the model sees of it."""
    assert least <= of(part) < least + 100


def test_what_is_around() -> None:
    """Instructions and tools count too."""
    request = Request("m", "word " * 700, tools=[Tool("f", "word " * 700, {"type": "object"})])
    assert 2000 < estimate_tokens(request) < 2100
