"""Reading requests for responses: a table of bodies and the requests that they become."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from claude_max_proxy import (
    Audio,
    Client,
    File,
    Image,
    InvalidRequest,
    Message,
    Reasoning,
    Request,
    ResponseFormat,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from claude_max_proxy.dialects.openai_responses import OpenAIResponses, Settings


HI = Message("user", [Text("hi")])
PIXEL = "iVBORw0KGgo="
PNG = f"data:image/png;base64,{PIXEL}"
PDF = "data:application/pdf;base64,JVBERi0x"
OBJECT = {"type": "object", "properties": {"a": {"format": "date"}}, "x-note": 1}
READ = {"type": "function", "name": "read", "parameters": {"type": "object"}}
PATCH = {"type": "custom", "name": "patch", "description": "d"}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "call1", "name": "read", "arguments": '{"a":1}'}
OUTPUT = {"type": "function_call_output", "call_id": "call1", "output": "done"}
CALLED = ToolCall("call1", "read", '{"a":1}')
DONE = ToolResult("call1", (Text("done"),))


def body(*items: Any, **fields: Any) -> bytes:
    """Return a request's body, with one user message unless items are given."""
    return msgspec.json.encode({"model": "m", "input": list(items) or "hi", **fields})


def read(*items: Any, **fields: Any) -> Request:
    """Return what the dialect reads from such a body."""
    return OpenAIResponses().open(body(*items, **fields)).request


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    """Return a user's message with these parts."""
    return {"type": "message", "role": "user", "content": list(parts)}


def assistant(text: str) -> dict[str, Any]:
    """Return a message that the model wrote, as a client sends it back."""
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}


def text(text: str) -> dict[str, Any]:
    """Return a part of text."""
    return {"type": "input_text", "text": text}


INPUT: dict[str, tuple[Any, str, list[Message]]] = {
    "text": ("hi", "", [HI]),
    "easy message": ([{"role": "user", "content": "hi"}], "", [HI]),
    "parts": ([user(text("a"), text("b"))], "", [Message("user", [Text("a"), Text("b")])]),
    "white space is kept": (" a\n", "", [Message("user", [Text(" a\n")])]),
    "instructions anywhere": (
        [
            {"role": "system", "content": "a"},
            {"role": "user", "content": "hi"},
            {"type": "message", "role": "developer", "content": [text("b"), text("c")]},
        ],
        "a\n\nb\n\nc",
        [HI],
    ),
    "assistant": ([user(text("hi")), assistant("yes")], "", [HI, Message("assistant", [Text("yes")])]),
    "easy assistant": ([{"role": "assistant", "content": "yes"}], "", [Message("assistant", [Text("yes")])]),
    "refusal": (
        [{"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}],
        "",
        [Message("assistant", [Text("no")])],
    ),
    "one turn of many items": (
        [
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
            assistant("Let me see."),
            CALL,
            {**CALL, "call_id": "call2"},
            OUTPUT,
            {**OUTPUT, "call_id": "call2", "output": [text("2"), {"type": "input_image", "image_url": PNG}]},
            {"role": "user", "content": "hi"},
        ],
        "",
        [
            Message(
                "assistant",
                [
                    Reasoning("hm"),
                    Text("Let me see."),
                    CALLED,
                    ToolCall("call2", "read", '{"a":1}'),
                ],
            ),
            Message("user", [DONE, ToolResult("call2", (Text("2"), Image("image/png", PIXEL)))]),
            HI,
        ],
    ),
    "call without arguments": (
        [{"type": "function_call", "call_id": "c", "name": "now", "arguments": ""}],
        "",
        [Message("assistant", [ToolCall("c", "now", "{}")])],
    ),
    "namespaces": (
        [
            {**CALL, "namespace": "box"},
            {**CALL, "namespace": "mcp__box__"},
        ],
        "",
        [
            Message(
                "assistant",
                [ToolCall("call1", "box__read", '{"a":1}'), ToolCall("call1", "mcp__box__read", '{"a":1}')],
            )
        ],
    ),
    "free text": (
        [
            {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": 'a"ü\n'},
            {"type": "custom_tool_call_output", "call_id": "c", "output": "ok"},
        ],
        "",
        [
            Message("assistant", [ToolCall("c", "patch", '{"input":"a\\"ü\\n"}')]),
            Message("user", [ToolResult("c", (Text("ok"),))]),
        ],
    ),
    "thoughts that say nothing": (
        [user(text("hi")), {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}],
        "",
        [HI],
    ),
    "pictures": (
        [
            user(
                {"type": "input_image", "image_url": PNG, "detail": "auto"},
                {"type": "input_image", "image_url": "https://a/b.png"},
                {"type": "input_file", "filename": "a.pdf", "file_data": PDF},
            )
        ],
        "",
        [
            Message(
                "user",
                [
                    Image("image/png", PIXEL),
                    Image(url="https://a/b.png"),
                    File("application/pdf", "JVBERi0x", "a.pdf"),
                ],
            )
        ],
    ),
    "unknown fields": ([{"role": "user", "content": "hi", "phase": "commentary", "x": [1]}], "", [HI]),
}


@pytest.mark.parametrize(("given", "system", "expected"), INPUT.values(), ids=INPUT)
def test_input(given: Any, system: str, expected: list[Message]) -> None:
    """Each form that a conversation may have is read into its instructions and messages."""
    request = OpenAIResponses().open(msgspec.json.encode({"model": "m", "input": given})).request
    assert (request.system, request.messages) == (system, expected)


def test_instructions_come_first() -> None:
    """The body's instructions come before those in its items."""
    request = read({"role": "developer", "content": "b"}, {"role": "user", "content": "hi"}, instructions="a")
    assert request.system == "a\n\nb"


def test_content_that_only_some_take() -> None:
    """Audio, and images by plain http, are passed on, and the place of the first of each is noted."""
    speech = {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}
    shown = {"type": "input_image", "image_url": "http://cam.lan/1.png"}
    request = read(user(text("x"), speech, shown, shown))
    assert request.messages[0].parts[1:3] == [Audio("AA", "wav"), Image(url="http://cam.lan/1.png")]
    assert request.extra == {"input_audio": "input[0].content[1]", "http_images": "input[0].content[2]"}


def test_a_hint_at_the_session() -> None:
    """The cache key identifies the conversation."""
    assert read(prompt_cache_key="k").client == Client(session="k")


BOX = {"type": "namespace", "name": "box", "description": "d", "tools": [READ, PATCH]}
INPUT_SCHEMA = {"type": "string", "description": "The tool's whole input, as plain text."}
PARAMETERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing": ({}, {"max_tokens": None, "temperature": None, "effort": None, "tools": [], "stream": False}),
    "limit": ({"max_output_tokens": 5}, {"max_tokens": 5}),
    "sampling": ({"temperature": 0, "top_p": 0.5}, {"temperature": 0.0, "top_p": 0.5}),
    "effort": ({"reasoning": {"effort": "xhigh", "summary": "auto"}}, {"effort": "xhigh"}),
    "stream": ({"stream": True}, {"stream": True}),
    "null everywhere": (
        {"stream": None, "tools": None, "reasoning": None, "text": None, "tool_choice": None, "store": None},
        {"stream": False, "tools": [], "tool_choice": ToolChoice()},
    ),
    "functions": (
        {"tools": [READ, {"type": "function", "name": "a", "description": "d", "strict": True}]},
        {
            "tools": [
                Tool("read", parameters={"type": "object"}, path="tools[0]"),
                Tool("a", "d", strict=True, path="tools[1]"),
            ]
        },
    ),
    "free text": (
        {"tools": [PATCH]},
        {
            "tools": [
                Tool(
                    "patch",
                    "d",
                    {
                        "type": "object",
                        "properties": {"input": INPUT_SCHEMA},
                        "required": ["input"],
                        "additionalProperties": False,
                    },
                    path="tools[0]",
                )
            ]
        },
    ),
    "what only OpenAI runs": (
        {
            "tools": [
                {"type": "web_search_preview_2025_03_11"},
                {"type": "tool_search", "execution": "client"},
            ]
        },
        {"tools": [], "ignored": ["tools.web_search", "tools.tool_search"]},
    ),
    "choice none": ({"tools": [READ], "tool_choice": "none"}, {"tool_choice": ToolChoice("none")}),
    "choice required": (
        {"tools": [READ], "tool_choice": "required"},
        {"tool_choice": ToolChoice("required")},
    ),
    "choice named": (
        {"tools": [READ], "tool_choice": {"type": "function", "name": "read"}},
        {"tool_choice": ToolChoice("named", "read")},
    ),
    "choice of free text": (
        {"tools": [READ, PATCH], "tool_choice": {"type": "custom", "name": "patch"}},
        {"tool_choice": ToolChoice("named", "patch")},
    ),
    "allowed tools": (
        {
            "tools": [READ, BOX],
            "tool_choice": {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "read"}],
            },
        },
        {
            "tools": [Tool("read", parameters={"type": "object"}, path="tools[0]")],
            "tool_choice": ToolChoice("required"),
        },
    ),
    "one call at a time": (
        {"tools": [READ], "parallel_tool_calls": False},
        {"tool_choice": ToolChoice(parallel=False)},
    ),
    "any JSON": (
        {"text": {"format": {"type": "json_object"}}},
        {"response_schema": {"type": "object", "additionalProperties": True}},
    ),
    "JSON of a schema": (
        {"text": {"format": {"type": "json_schema", "name": "x", "schema": OBJECT, "strict": True}}},
        {
            "response_schema": OBJECT,
            "response_format": ResponseFormat("x", strict=True, path="text.format.schema"),
        },
    ),
    "plain text": ({"text": {"format": {"type": "text"}}}, {"response_schema": None, "ignored": []}),
    "user and cache key": (
        {"user": "u", "prompt_cache_key": "k"},
        {"extra": {"user": "u", "prompt_cache_key": "k"}},
    ),
    "hints": (
        {
            "text": {"verbosity": "low"},
            "truncation": "auto",
            "max_tool_calls": 3,
            "moderation": {"model": "x"},
        },
        {"ignored": ["max_tool_calls", "moderation", "truncation"], "extra": {"verbosity": "low"}},
    ),
    "bookkeeping": (
        {
            "store": True,
            "metadata": {"a": "b"},
            "service_tier": "auto",
            "safety_identifier": "x",
            "include": ["reasoning.encrypted_content", "web_search_call.action.sources"],
            "stream_options": {"include_obfuscation": False},
            "prompt_cache_retention": "24h",
            "client_metadata": {"a": "b"},
            "truncation": "disabled",
        },
        {
            "ignored": [],
            "extra": {"metadata": {"a": "b"}, "safety_identifier": "x", "prompt_cache_retention": "24h"},
        },
    ),
    "off is not asked for": (
        {"background": False, "conversation": None, "prompt": None, "top_logprobs": 0},
        {"ignored": []},
    ),
}


@pytest.mark.parametrize(("fields", "expected"), PARAMETERS.values(), ids=PARAMETERS)
def test_parameters(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    """Each parameter is carried over to the request, or named as ignored."""
    request = read(**fields)
    assert expected == {name: getattr(request, name) for name in expected}


def test_tools_of_a_namespace() -> None:
    """The tools of a namespace become functions with its name, and a grammar is described to the model."""
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: x"}
    box = {**BOX, "tools": [READ, {**PATCH, "format": grammar}]}
    tools = read(tools=[READ, box]).tools
    assert [tool.name for tool in tools] == ["read", "box__read", "box__patch"]
    assert tools[2].parameters is not None
    assert tools[2].parameters["properties"]["input"]["description"].endswith("lark grammar:\nstart: x")


def test_storing_that_is_off() -> None:
    """A client that asks to store a response is told if nothing is stored."""
    dialect = OpenAIResponses(Settings(store=False))
    assert dialect.open(body(store=True)).request.ignored == ["store"]
    assert dialect.open(body()).request.ignored == []


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
