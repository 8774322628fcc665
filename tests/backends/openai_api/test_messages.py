"""How messages are written for an API over HTTP that speaks OpenAI's chat."""

from __future__ import annotations

import pytest

from claude_max_proxy import File, InvalidRequest, Message, Part, Reasoning, Request, Text, ToolCall
from claude_max_proxy.anthropic_messages import ToolNames
from claude_max_proxy.backends.openai_api.messages import write_messages


def written(*parts: Part) -> list[dict[str, object]]:
    """Write a user's message."""
    return write_messages(Request("m", messages=[Message("user", list(parts))]), ToolNames())


def test_a_document_by_its_address() -> None:
    """The API takes no document by its address, and the client is told so."""
    with pytest.raises(InvalidRequest, match="inline only") as refused:
        written(Text("read"), File("application/pdf", url="https://a/b.pdf"))
    assert refused.value.code == "unsupported_content"


def test_what_only_the_assistant_says() -> None:
    """A user's message has no thoughts and no calls, whatever a plugin put into it."""
    (message,) = written(Text("a"), Reasoning("hm"), ToolCall("c", "f", "{}"), Text("b"))
    assert message["content"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
