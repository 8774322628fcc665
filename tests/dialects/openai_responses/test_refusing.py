"""What is wrong with a request of the Responses API, and where."""

from __future__ import annotations

from typing import Any

import pytest

from claude_max_proxy import (
    InvalidRequest,
)
from claude_max_proxy.dialects.openai_responses import OpenAIResponses
from tests.dialects.openai_responses.requests import (
    BOX,
    OUTPUT,
    PATCH,
    PDF,
    PNG,
    READ,
    body,
    read,
    user,
)


def at(part: Any) -> bytes:
    """Return a body whose only message has this part."""
    return body(user(part))


DEEP = b"[" * 100_000 + b"]" * 100_000
FIRST = "input[0].content[0]"
ERRORS: dict[str, tuple[bytes, str | None, str]] = {
    "no JSON": (b"hello", None, "invalid_json"),
    "deep": (b'{"model":"m","input":"","x":' + DEEP + b"}", "x[0][0][0]", "invalid_json"),
    "an array": (b"[]", None, "invalid_request"),
    "no model": (b'{"input":"hi"}', "model", "invalid_request"),
    "no input": (b'{"model":"m"}', "input", "invalid_request"),
    "empty input": (b'{"model":"m","input":[]}', "input", "invalid_request"),
    "item of another type": (body("hi"), "input[0]", "invalid_request"),
    "no role": (body({"content": "x"}), "input[0].role", "invalid_request"),
    "unknown role": (body({"role": "tool", "content": "x"}), "input[0].role", "invalid_request"),
    "no content": (body({"role": "user"}), "input[0].content", "invalid_request"),
    "unknown item": (body({"type": "web_search_call"}), "input[0].type", "unsupported_content"),
    "type of another type": (body({"type": 5}), "input[0].type", "unsupported_content"),
    "unknown part": (at({"type": "text", "text": "x"}), f"{FIRST}.type", "invalid_request"),
    "part without text": (at({"type": "input_text"}), f"{FIRST}.text", "invalid_request"),
    "audio of nothing": (
        at({"type": "input_audio", "input_audio": {"format": "wav"}}),
        f"{FIRST}.input_audio.data",
        "invalid_request",
    ),
    "image of nothing": (at({"type": "input_image"}), f"{FIRST}.image_url", "invalid_request"),
    "stored image": (
        at({"type": "input_image", "file_id": "f"}),
        f"{FIRST}.file_id",
        "unsupported_content",
    ),
    "image from a disk": (
        at({"type": "input_image", "image_url": "file:///etc/passwd"}),
        f"{FIRST}.image_url",
        "invalid_request",
    ),
    "stored file": (at({"type": "input_file", "file_id": "f"}), f"{FIRST}.file_id", "unsupported_content"),
    "file by address": (
        at({"type": "input_file", "file_url": "https://a/b.pdf"}),
        f"{FIRST}.file_url",
        "unsupported_content",
    ),
    "file of nothing": (at({"type": "input_file"}), f"{FIRST}.file_data", "invalid_request"),
    "image in instructions": (
        body({"role": "developer", "content": [{"type": "input_image", "image_url": PNG}]}),
        f"{FIRST}.type",
        "invalid_request",
    ),
    "file as a result": (
        body({**OUTPUT, "output": [{"type": "input_file", "file_data": PDF}]}),
        "input[0].output[0].type",
        "invalid_request",
    ),
    "call without id": (
        body({"type": "function_call", "name": "f", "arguments": "{}"}),
        "input[0].call_id",
        "invalid_request",
    ),
    "result without call": (
        body({"type": "function_call_output", "output": ""}),
        "input[0].call_id",
        "invalid_request",
    ),
    "reference to nothing": (body({"type": "item_reference"}), "input[0].id", "invalid_request"),
    "no tokens at all": (body(max_output_tokens=0), "max_output_tokens", "invalid_request"),
    "hot": (body(temperature=2.1), "temperature", "invalid_request"),
    "unknown effort": (body(reasoning={"effort": "lots"}), "reasoning.effort", "invalid_request"),
    "format of another type": (body(text={"format": "json"}), "text.format", "invalid_request"),
    "schema of nothing": (
        body(text={"format": {"type": "json_schema", "name": "x"}}),
        "text.format.schema",
        "invalid_request",
    ),
    "background": (body(background=True), "background", "unsupported_parameter"),
    "conversation": (body(conversation="conv_1"), "conversation", "unsupported_parameter"),
    "prompt": (body(prompt={"id": "p"}), "prompt", "unsupported_parameter"),
    "logprobs": (body(top_logprobs=2), "top_logprobs", "unsupported_parameter"),
    "logprobs included": (
        body(include=["reasoning.encrypted_content", "message.output_text.logprobs"]),
        "include[1]",
        "unsupported_parameter",
    ),
    "tool that runs at OpenAI": (
        body(tools=[READ, {"type": "mcp", "server_url": "https://a"}]),
        "tools[1].type",
        "unsupported_parameter",
    ),
    "tool without type": (body(tools=[{"name": "x"}]), "tools[0].type", "invalid_request"),
    "tool without name": (body(tools=[{"type": "custom"}]), "tools[0].name", "invalid_request"),
    "tool twice": (body(tools=[READ, {**PATCH, "name": "read"}]), "tools[1]", "invalid_request"),
    "namespaces in each other": (
        body(tools=[{**BOX, "tools": [BOX]}]),
        "tools[0].tools[0].type",
        "unsupported_parameter",
    ),
    "choice of nothing": (body(tool_choice="required"), "tool_choice", "invalid_request"),
    "choice of a search": (
        body(tools=[{"type": "web_search"}], tool_choice={"type": "web_search"}),
        "tool_choice.type",
        "unsupported_parameter",
    ),
    "choice of the unknown": (
        body(tools=[READ], tool_choice={"type": "function", "name": "x"}),
        "tool_choice",
        "invalid_request",
    ),
}


@pytest.mark.parametrize(("given", "path", "code"), ERRORS.values(), ids=ERRORS)
def test_what_is_wrong(given: bytes, path: str | None, code: str) -> None:
    """What is not supported is refused with the path of the field and a code."""
    with pytest.raises(InvalidRequest) as caught:
        OpenAIResponses().open(given)

    assert (caught.value.param, caught.value.code) == (path, code)
    assert (path or "").removesuffix(".type") in caught.value.message


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_image", "image_url": PNG, "file_id": "/media/door.png"},
        {"type": "input_file", "file_data": PDF, "filename": "a.pdf", "file_id": "file-1"},
    ],
)
def test_what_is_inline_needs_no_id(part: dict[str, Any]) -> None:
    """A part that is inline is taken, whatever stored file it also names; the name is said to be ignored."""
    inline = {key: value for key, value in part.items() if key != "file_id"}
    found, wanted = read(user(part)), read(user(inline))
    assert found.messages == wanted.messages
    assert (found.ignored, wanted.ignored) == (["input.content.file_id"], [])


def test_the_header_of_what_is_ignored_cannot_be_forged() -> None:
    """Control characters in the type that a client gives a tool do not reach a header of the answer."""
    assert read(tools=[{"type": "web_search\r\nx: y"}]).ignored == ["tools.web_search"]
