"""Both backends over HTTP, through the whole proxy: answers, tools, images and structured answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from claude_max_proxy.testing import (
    Reply,
    Text,
    Thinking,
    ToolUse,
)
from tests import pictures
from tests.backends.over_http.conftest import BOTH, TOOL, House
from tests.pictures import data_url


PNG = data_url(pictures.PNG)
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


@BOTH
async def test_a_whole_answer(house: House, model: str) -> None:
    """A question is answered, with the requested model's name and the tokens."""
    reply = Reply((Text("Hello you"),), input_tokens=7, output_tokens=3, cache_read=5, cache_write=2)
    house.upstreams[model].script(reply)
    answer = await house.ask(model, max_tokens=99)
    assert (answer.model, answer.choices[0].message.content) == (model, "Hello you")
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (14, 3)
    assert answer.usage.prompt_tokens_details.cached_tokens == 5
    body = house.upstreams[model].requests[0].body
    assert (body["max_tokens"], body["stream"]) == (99, True)


async def test_keys(house: House) -> None:
    """Each upstream gets its own key, from the place that the configuration names."""
    await house.ask("o")
    await house.ask("a")
    sent = {name: upstream.requests[0].headers for name, upstream in house.upstreams.items()}
    assert sent["o"]["authorization"] == "Bearer sk-local"
    assert (sent["a"]["x-api-key"], sent["a"]["anthropic-version"]) == ("sk-ant", "2023-06-01")
    assert "sk-" not in json.dumps(house.runtime.health())


@BOTH
async def test_a_stream(house: House, model: str) -> None:
    """A streamed answer has every delta, one finish_reason, and the usage."""
    house.upstreams[model].script(Reply((Thinking("let me see"), Text("w " * 500))))
    chunks = await house.stream(model)
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert "".join(delta.content or "" for delta in deltas) == "w " * 500
    assert "".join(getattr(delta, "reasoning_content", "") for delta in deltas) == "let me see"
    assert sum(bool(delta.content) for delta in deltas) > 500 - 1
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == [
        "stop"
    ]
    assert chunks[-1].usage.completion_tokens > 500


@BOTH
@pytest.mark.parametrize("stream", [False, True])
async def test_tools(house: House, model: str, stream: bool) -> None:
    """Calls are returned, in parallel, and their results continue the conversation."""
    house.upstreams[model].script(
        Reply((Text("adding"), ToolUse("add", {"a": 1}, "c1"), ToolUse("add", {}, "c2")))
    )
    if stream:
        calls: dict[int, list[str]] = {}
        for chunk in await house.stream(model, tools=[TOOL]):
            for call in (chunk.choices[0].delta.tool_calls or []) if chunk.choices else []:
                made = calls.setdefault(call.index, [call.id, call.function.name, ""])
                made[2] += call.function.arguments or ""
        assert list(calls.values()) == [["c1", "add", '{"a":1}'], ["c2", "add", "{}"]]
    message = {"role": "assistant", "content": "adding", "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}},
        {"id": "c2", "type": "function", "function": {"name": "add", "arguments": "{}"}},
    ]}  # fmt: skip
    if not stream:
        answer = await house.ask(model, tools=[TOOL])
        assert answer.choices[0].finish_reason == "tool_calls"
        given = answer.choices[0].message.to_dict()
        assert {key: given[key] for key in message} == message
    results = [{"role": "tool", "tool_call_id": id, "content": f"r{id}"} for id in ("c1", "c2")]
    history = [{"role": "user", "content": "go"}, message, *results]
    answer = await house.ask(model, messages=history, tools=[TOOL])
    assert answer.choices[0].message.content == "Results: rc1 | rc2"


@BOTH
async def test_images(house: House, model: str) -> None:
    """Images reach the upstream in its own form."""
    parts = [{"type": "text", "text": "what?"}, {"type": "image_url", "image_url": {"url": PNG}}]
    await house.ask(model, messages=[{"role": "user", "content": parts}])
    block = house.upstreams[model].requests[0].body["messages"][0]["content"][1]
    if model == "o":
        assert block == {"type": "image_url", "image_url": {"url": PNG}}
    else:
        assert block["source"] == {"type": "base64", "media_type": "image/png", "data": PNG.partition(",")[2]}


@BOTH
async def test_a_structured_answer(house: House, model: str) -> None:
    """An answer with a schema is a text of JSON, in whichever way the upstream sends it."""
    said = '{"city":"Bern"}'
    block = Text(said, 3) if model == "o" else ToolUse("answer", json.loads(said))
    schema: Any = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": True}}
    house.upstreams[model].script(Reply((block,)))
    answer = await house.ask(model, response_format=schema)
    assert answer.choices[0].message.content == said
    assert (answer.choices[0].finish_reason, answer.choices[0].message.tool_calls) == ("stop", None)


@BOTH
async def test_effort(house: House, model: str) -> None:
    """The effort is passed on in the upstream's words."""
    await house.ask(model, reasoning_effort="low")
    body = house.upstreams[model].requests[0].body
    if model == "o":
        assert body["reasoning_effort"] == "low"
    else:
        assert (body["thinking"], body["output_config"]) == ({"type": "adaptive"}, {"effort": "low"})
