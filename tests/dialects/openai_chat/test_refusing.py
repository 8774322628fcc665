"""What is wrong with a request of Chat Completions, and where."""

from __future__ import annotations

import pytest

from claude_max_proxy import (
    InvalidRequest,
)
from claude_max_proxy.dialects.openai_chat import OpenAIChat
from tests.dialects.openai_chat.requests import READ, SPEECH, USER, allowed, at, body, file, image


DEEP = b"[" * 100_000 + b"]" * 100_000
FIRST = "messages[0].content[0]"
ERRORS: dict[str, tuple[bytes, str | None, str]] = {
    "nothing": (b"", None, "invalid_json"),
    "no JSON": (b"hello", None, "invalid_json"),
    "half JSON": (b'{"model":', None, "invalid_json"),
    "more than JSON": (body() + b"x", None, "invalid_json"),
    "no UTF-8": (b'{"model":"\xff","messages":[]}', None, "invalid_json"),
    "half a surrogate": (b'{"model":"\\ud800","messages":[]}', None, "invalid_json"),
    "deep": (b'{"model":"m","metadata":{"a":' + DEEP + b"}}", "metadata.a[0][0]", "invalid_json"),
    "deep where unknown": (b'{"model":"m","x":' + DEEP + b"}", "x[0][0][0]", "invalid_json"),
    "an array": (b"[]", None, "invalid_request"),
    "null": (b"null", None, "invalid_request"),
    "no model": (b'{"messages":[{"role":"user"}]}', "model", "invalid_request"),
    "empty model": (body(model=""), "model", "invalid_request"),
    "model of another type": (body(model=1), "model", "invalid_request"),
    "no messages": (b'{"model":"m"}', "messages", "invalid_request"),
    "empty messages": (b'{"model":"m","messages":[]}', "messages", "invalid_request"),
    "messages of another type": (b'{"model":"m","messages":{}}', "messages", "invalid_request"),
    "message of another type": (body("hi"), "messages[0]", "invalid_request"),
    "no role": (body(USER, {"content": "x"}), "messages[1].role", "invalid_request"),
    "unknown role": (body({"role": "wizard"}), "messages[0].role", "invalid_request"),
    "content of another type": (at(5), "messages[0].content", "invalid_request"),
    "unknown part": (at([{"type": "video"}]), f"{FIRST}.type", "invalid_request"),
    "part without type": (at([{"text": "x"}]), f"{FIRST}.type", "invalid_request"),
    "part without text": (at([{"type": "text"}]), f"{FIRST}.text", "invalid_request"),
    "part of another type": (at(["x"]), FIRST, "invalid_request"),
    "audio in instructions": (
        body(
            {
                "role": "system",
                "content": [{"type": "input_audio", "input_audio": SPEECH}],
            }
        ),
        f"{FIRST}.type",
        "invalid_request",
    ),
    "image as text": (at([{"type": "image_url", "image_url": "x"}]), f"{FIRST}.image_url", "invalid_request"),
    "image of nothing": (image(""), f"{FIRST}.image_url.url", "invalid_request"),
    "image from a disk": (image("file:///etc/passwd"), f"{FIRST}.image_url.url", "invalid_request"),
    "image that is not base64": (
        image("data:image/png;base64,AA!A"),
        f"{FIRST}.image_url.url",
        "invalid_request",
    ),
    "image of another kind": (
        image("data:image/svg+xml;base64,AAAA"),
        f"{FIRST}.image_url.url",
        "invalid_request",
    ),
    "endless header": (
        image("data:image/png" + ";a" * 100_000),
        f"{FIRST}.image_url.url",
        "invalid_request",
    ),
    "stored file": (file(file_id="file-1"), f"{FIRST}.file.file_id", "unsupported_content"),
    "file of nothing": (file(), f"{FIRST}.file.file_data", "invalid_request"),
    "file by address": (file(file_data="https://a/b"), f"{FIRST}.file.file_data", "invalid_request"),
    "image in instructions": (
        body({"role": "system", "content": [{"type": "image_url", "image_url": {"url": "https://a"}}]}, USER),
        f"{FIRST}.type",
        "invalid_request",
    ),
    "file as a result": (
        body(
            {
                "role": "tool",
                "tool_call_id": "c",
                "content": [{"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0x"}}],
            }
        ),
        f"{FIRST}.type",
        "invalid_request",
    ),
    "result without call": (body({"role": "tool"}), "messages[0].tool_call_id", "invalid_request"),
    "call without id": (
        body({"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}),
        "messages[0].tool_calls[0].id",
        "invalid_request",
    ),
    "call without name": (
        body({"role": "assistant", "tool_calls": [{"id": "c", "function": {}}]}),
        "messages[0].tool_calls[0].function.name",
        "invalid_request",
    ),
    "function that was not called": (
        body({"role": "function", "name": "f", "content": ""}),
        "messages[0].name",
        "invalid_request",
    ),
    "negative limit": (body(max_tokens=-1), "max_tokens", "invalid_request"),
    "no tokens at all": (body(max_completion_tokens=0), "max_completion_tokens", "invalid_request"),
    "limit as text": (body(max_tokens="5"), "max_tokens", "invalid_request"),
    "negative temperature": (body(temperature=-0.1), "temperature", "invalid_request"),
    "hot": (body(temperature=2.1), "temperature", "invalid_request"),
    "top_p": (body(top_p=1.1), "top_p", "invalid_request"),
    "penalty": (body(presence_penalty=3), "presence_penalty", "invalid_request"),
    "no answers": (body(n=0), "n", "invalid_request"),
    "too many answers": (body(n=129), "n", "invalid_request"),
    "logprobs": (body(logprobs=True), "logprobs", "unsupported_parameter"),
    "top_logprobs": (body(top_logprobs=2), "top_logprobs", "unsupported_parameter"),
    "audio answer": (body(audio={"voice": "a"}), "audio", "unsupported_parameter"),
    "spoken": (body(modalities=["text", "audio"]), "modalities", "unsupported_parameter"),
    "unknown effort": (body(reasoning_effort="lots"), "reasoning_effort", "invalid_request"),
    "stop of another type": (body(stop=["a", 1]), "stop[1]", "invalid_request"),
    "stream as text": (body(stream="yes"), "stream", "invalid_request"),
    "unknown tool": (body(tools=[{"type": "web_search"}]), "tools[0].type", "invalid_request"),
    "custom tool": (
        body(tools=[READ, {"type": "custom", "custom": {"name": "x"}}]),
        "tools[1].type",
        "unsupported_parameter",
    ),
    "tool without name": (
        body(tools=[{"type": "function", "function": {}}]),
        "tools[0].function.name",
        "invalid_request",
    ),
    "tool with an empty name": (
        body(tools=[{"type": "function", "function": {"name": ""}}]),
        "tools[0].function.name",
        "invalid_request",
    ),
    "two tools of one name": (body(tools=[READ, READ]), "tools[1]", "invalid_request"),
    "two functions of one name": (body(functions=[{"name": "f"}] * 2), "functions[1]", "invalid_request"),
    "required of none": (body(tool_choice="required"), "tool_choice", "invalid_request"),
    "unknown is allowed": (
        body(tools=[READ], tool_choice=allowed("auto", "read", "x")),
        "tool_choice.allowed_tools.tools[1].function.name",
        "invalid_request",
    ),
    "nothing is allowed": (
        body(tools=[READ], tool_choice=allowed("required")),
        "tool_choice.allowed_tools.tools",
        "invalid_request",
    ),
    "allowed in no way": (
        body(tools=[READ], tool_choice=allowed("none", "read")),
        "tool_choice.allowed_tools.mode",
        "invalid_request",
    ),
    "allowed what": (
        body(tools=[READ], tool_choice={"type": "allowed_tools"}),
        "tool_choice.allowed_tools",
        "invalid_request",
    ),
    "unknown choice": (body(tools=[READ], tool_choice="any"), "tool_choice", "invalid_request"),
    "named that is not there": (
        body(tools=[READ], tool_choice={"type": "function", "function": {"name": "x"}}),
        "tool_choice",
        "invalid_request",
    ),
    "legacy named that is not there": (
        body(functions=[{"name": "f"}], function_call={"name": "x"}),
        "function_call",
        "invalid_request",
    ),
    "unknown format": (body(response_format={"type": "xml"}), "response_format.type", "invalid_request"),
    "no schema": (
        body(response_format={"type": "json_schema", "json_schema": {"name": "x"}}),
        "response_format.json_schema.schema",
        "invalid_request",
    ),
}


@pytest.mark.parametrize(("wire", "param", "code"), ERRORS.values(), ids=ERRORS)
def test_errors(wire: bytes, param: str | None, code: str) -> None:
    """Each bad body is a 400 that names the first field that is wrong."""
    with pytest.raises(InvalidRequest) as caught:
        OpenAIChat().open(wire)
    assert (caught.value.param, caught.value.code, caught.value.status) == (param, code, 400)
    assert param is None or param.split("[")[0] in caught.value.message
