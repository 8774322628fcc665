"""The Messages API's vocabulary: what is read from it can be written to it, and the other way round."""

from __future__ import annotations

from typing import get_args

import pytest

from claude_max_proxy import (
    Audio,
    File,
    FinishReason,
    Image,
    InvalidRequest,
    Part,
    PartStarted,
    Reasoning,
    Started,
    Text,
    ToolCall,
    ToolResult,
    Usage,
    complete_part,
)
from claude_max_proxy.anthropic_messages import (
    ApiUsage,
    Block,
    ContentBlock,
    Delta,
    MessageReader,
    OutputDetails,
    StreamEvent,
    add_usage,
    finish_reason,
    read_usage,
    stop_reason,
    write_block,
    write_usage,
)
from claude_max_proxy.formats import tool_ids


@pytest.mark.parametrize("finish", get_args(FinishReason))
def test_reasons(finish: FinishReason) -> None:
    """Every way to end has a word, which is read as that way again."""
    assert finish_reason(stop_reason(finish), called=finish == "tool_calls") == finish


def test_reasons_of_the_apis_own() -> None:
    """A stop sequence is reported where it is known; an unknown reason is read as an ordinary stop."""
    assert stop_reason("stop", "END") == "stop_sequence"
    assert stop_reason("length", "END") == "max_tokens"
    assert finish_reason("a new one", called=False) == "stop"
    assert finish_reason("end_turn", called=True) == "tool_calls"
    assert finish_reason("tool_use", called=False) == "stop"


def test_usage() -> None:
    """Token counts are totals, which later events replace, and they are read as they were written."""
    known = ApiUsage()
    add_usage(known, ApiUsage(input_tokens=10, output_tokens=1, cache_read_input_tokens=3))
    add_usage(known, None)
    add_usage(known, ApiUsage(output_tokens=20, output_tokens_details=OutputDetails(5)))
    assert read_usage(known) == Usage(10, 20, 3, 0, 5)
    assert write_usage(Usage(10, 20, 3, 4)) == {
        "input_tokens": 10,
        "cache_creation_input_tokens": 4,
        "cache_read_input_tokens": 3,
        "output_tokens": 20,
    }


BLOCKS: list[tuple[Part, Block | None]] = [
    (Text("a"), {"type": "text", "text": "a"}),
    (Text(""), None),
    (Reasoning("hm", "sig"), {"type": "thinking", "thinking": "hm", "signature": "sig"}),
    (Reasoning("", "EoF=", redacted=True), {"type": "redacted_thinking", "data": "EoF="}),
    (Reasoning("hm"), None),
    (
        ToolCall("a.b", "f", "[1]"),
        {"type": "tool_use", "id": "a_b", "name": "f", "input": {"arguments": "[1]"}},
    ),
    (
        ToolResult("a.b", (Text(""), Image(url="https://a"), File("application/pdf", "AA"))),
        {
            "type": "tool_result",
            "tool_use_id": "a_b",
            "content": [
                {"type": "image", "source": {"type": "url", "url": "https://a"}},
                {
                    "type": "document",
                    "source": {"type": "base64", "media_type": "application/pdf", "data": "AA"},
                },
            ],
        },
    ),
]


@pytest.mark.parametrize(("part", "block"), BLOCKS)
def test_blocks(part: Part, block: Block | None) -> None:
    """Each part has its block, or none where the API accepts none."""
    assert write_block(part, tool_ids.for_anthropic) == block


def test_speech() -> None:
    """The API accepts no audio."""
    with pytest.raises(InvalidRequest):
        write_block(Audio("AA", "wav"), tool_ids.for_anthropic)


def test_a_thought_in_the_stream() -> None:
    """A thought ends with its signature, whole or in pieces; fragments that have no block are skipped."""
    reader = MessageReader()
    events = [
        event
        for given in (
            StreamEvent("message_start"),
            StreamEvent("content_block_start", content_block=ContentBlock("thinking", signature="s")),
            StreamEvent("content_block_delta", delta=Delta(thinking="hm")),
            StreamEvent("content_block_delta", delta=Delta(signature="ig")),
            StreamEvent("content_block_stop"),
            StreamEvent("content_block_start", content_block=ContentBlock("server_tool_use")),
            StreamEvent("content_block_delta", delta=Delta(partial_json="{}")),
            StreamEvent("content_block_stop"),
            StreamEvent("ping"),
            StreamEvent("content_block_start", content_block=ContentBlock("text", text="a")),
            StreamEvent("content_block_stop"),
        )
        for event in reader.read(given)
    ]
    assert events == [
        Started("", usage=Usage()),
        *complete_part(PartStarted(0, "reasoning"), "hm", signature="sig"),
        *complete_part(PartStarted(1, "text"), "a"),
    ]
