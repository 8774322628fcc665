"""Reading chat completion requests: a table of bodies and the requests that they become."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from claude_max_proxy import (
    Audio,
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
from claude_max_proxy.dialects.openai_chat import OpenAIChat


USER = {"role": "user", "content": "hi"}
HI = Message("user", [Text("hi")])
PIXEL = "iVBORw0KGgo="
OBJECT = {"type": "object", "properties": {"a": {"format": "date"}}, "x-note": 1}
READ = {"type": "function", "function": {"name": "read", "parameters": {"type": "object"}}}
WRITE = {"type": "function", "function": {"name": "write"}}
CALL = {"id": "call1", "type": "function", "function": {"name": "read", "arguments": '{"a":1}'}}


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


MESSAGES: dict[str, tuple[list[Any], str, list[Message]]] = {
    "text": ([USER], "", [HI]),
    "text parts": (
        [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}],
        "",
        [Message("user", [Text("a"), Text("b")])],
    ),
    "null content": ([{"role": "user", "content": None}], "", [Message("user", [])]),
    "no content": ([{"role": "user"}], "", [Message("user", [])]),
    "empty text": ([{"role": "user", "content": ""}], "", [Message("user", [Text("")])]),
    "white space is kept": ([{"role": "user", "content": " a\n"}], "", [Message("user", [Text(" a\n")])]),
    "system": ([{"role": "system", "content": "s"}, USER], "s", [HI]),
    "developer": ([{"role": "developer", "content": "s"}, USER], "s", [HI]),
    "instructions anywhere": (
        [
            {"role": "system", "content": "a"},
            USER,
            {"role": "developer", "content": [{"type": "text", "text": "b"}]},
            {"role": "system", "content": "c"},
        ],
        "a\n\nb\n\nc",
        [HI],
    ),
    "only instructions": ([{"role": "system", "content": "s"}], "s", []),
    "null instructions": ([{"role": "system", "content": None}, USER], "", [HI]),
    "assistant": (
        [USER, {"role": "assistant", "content": "yes"}, USER],
        "",
        [HI, Message("assistant", [Text("yes")]), HI],
    ),
    "assistant with reasoning": (
        [{"role": "assistant", "reasoning_content": "hm", "content": "yes"}, USER],
        "",
        [Message("assistant", [Reasoning("hm"), Text("yes")]), HI],
    ),
    "assistant that refused": (
        [{"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}], "refusal": None}, USER],
        "",
        [Message("assistant", [Text("no")]), HI],
    ),
    "assistant's refusal field": (
        [{"role": "assistant", "content": None, "refusal": "no"}, USER],
        "",
        [Message("assistant", [Text("no")]), HI],
    ),
    "tool call and result": (
        [
            USER,
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "call1", "content": "done"},
        ],
        "",
        [
            HI,
            Message("assistant", [ToolCall("call1", "read", '{"a":1}')]),
            Message("user", [ToolResult("call1", (Text("done"),))]),
        ],
    ),
    "results side by side": (
        [
            {"role": "assistant", "content": "", "tool_calls": [CALL, {**CALL, "id": "call2"}]},
            {"role": "tool", "tool_call_id": "call1", "content": "1"},
            {"role": "tool", "tool_call_id": "call2", "content": [{"type": "text", "text": "2"}]},
            USER,
        ],
        "",
        [
            Message(
                "assistant", [ToolCall("call1", "read", '{"a":1}'), ToolCall("call2", "read", '{"a":1}')]
            ),
            Message("user", [ToolResult("call1", (Text("1"),)), ToolResult("call2", (Text("2"),))]),
            HI,
        ],
    ),
    "call without arguments": (
        [{"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "now", "arguments": ""}}]}],
        "",
        [Message("assistant", [ToolCall("c", "now", "{}")])],
    ),
    "empty result": (
        [{"role": "tool", "tool_call_id": "c", "content": None}],
        "",
        [Message("user", [ToolResult("c", ())])],
    ),
    "legacy function": (
        [
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "1"},
        ],
        "",
        [
            Message("assistant", [ToolCall("callmessages0", "f", "{}")]),
            Message("user", [ToolResult("callmessages0", (Text("1"),))]),
        ],
    ),
    "image inline": (
        [
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
                    {"type": "image_url", "image_url": {"url": f"data:IMAGE/JPEG;x=y;base64,{PIXEL}"}},
                ],
            }
        ],
        "",
        [Message("user", [Image("image/png", PIXEL), Image("image/png", PIXEL)])],
    ),
    "image by address": (
        [
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "low"}}],
            }
        ],
        "",
        [Message("user", [Image(url="https://a/b.png")])],
    ),
    "file": (
        [
            {
                "role": "user",
                "content": [
                    {
                        "type": "file",
                        "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0x"},
                    }
                ],
            }
        ],
        "",
        [Message("user", [File("application/pdf", "JVBERi0x", "a.pdf")])],
    ),
    "unknown fields": ([{"role": "user", "content": "hi", "cache_control": {"type": "ephemeral"}}], "", [HI]),
}


@pytest.mark.parametrize(("messages", "system", "expected"), MESSAGES.values(), ids=MESSAGES)
def test_messages(messages: list[Any], system: str, expected: list[Message]) -> None:
    """Each form that a conversation may have is read into its instructions and messages."""
    request = read(*messages)
    assert (request.system, request.messages) == (system, expected)


PARAMETERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing": ({}, {"max_tokens": None, "stop": [], "temperature": None, "effort": None, "tools": []}),
    "max_tokens": ({"max_tokens": 5}, {"max_tokens": 5}),
    "max_completion_tokens": ({"max_completion_tokens": 6, "max_tokens": 5}, {"max_tokens": 6}),
    "stop text": ({"stop": "END"}, {"stop": ["END"]}),
    "stop list": ({"stop": ["a", "b"]}, {"stop": ["a", "b"]}),
    "temperature": ({"temperature": 0, "top_p": 0.5}, {"temperature": 0.0, "top_p": 0.5}),
    "effort": ({"reasoning_effort": "xhigh"}, {"effort": "xhigh"}),
    "stream": ({"stream": True}, {"stream": True}),
    "null everywhere": (
        {"stream": None, "tools": None, "stop": None, "n": None, "temperature": None, "tool_choice": None},
        {"stream": False, "tools": [], "stop": [], "tool_choice": ToolChoice()},
    ),
    "tools": (
        {
            "tools": [
                READ,
                {"type": "function", "function": {"name": "a", "description": "d", "strict": True}},
            ]
        },
        {
            "tools": [
                Tool("read", parameters={"type": "object"}, path="tools[0]"),
                Tool("a", "d", strict=True, path="tools[1]"),
            ]
        },
    ),
    "legacy functions": (
        {"functions": [{"name": "f"}], "function_call": {"name": "f"}},
        {"tools": [Tool("f", path="functions[0]")], "tool_choice": ToolChoice("named", "f", parallel=False)},
    ),
    "some allowed": (
        {"tools": [READ, WRITE], "tool_choice": allowed("auto", "write")},
        {"tools": [Tool("write", path="tools[1]")], "tool_choice": ToolChoice()},
    ),
    "one of some": (
        {"tools": [READ, WRITE], "tool_choice": allowed("required", "write"), "parallel_tool_calls": False},
        {"tools": [Tool("write", path="tools[1]")], "tool_choice": ToolChoice("required", parallel=False)},
    ),
    "all allowed": (
        {"tools": [WRITE, READ], "tool_choice": allowed("auto", "read", "write")},
        {"tool_choice": ToolChoice()},
    ),
    "choice none": ({"tools": [READ], "tool_choice": "none"}, {"tool_choice": ToolChoice("none")}),
    "choice required": (
        {"tools": [READ], "tool_choice": "required"},
        {"tool_choice": ToolChoice("required")},
    ),
    "choice named": (
        {"tools": [READ], "tool_choice": {"type": "function", "function": {"name": "read"}}},
        {"tool_choice": ToolChoice("named", "read")},
    ),
    "one call at a time": (
        {"tools": [READ], "parallel_tool_calls": False},
        {"tool_choice": ToolChoice(parallel=False)},
    ),
    "any JSON": (
        {"response_format": {"type": "json_object"}},
        {"response_schema": {"type": "object", "additionalProperties": True}},
    ),
    "JSON of a schema": (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": OBJECT}}},
        {"response_schema": OBJECT, "response_format": ResponseFormat("x")},
    ),
    "plain text": ({"response_format": {"type": "text"}}, {"response_schema": None}),
    "user and cache key": (
        {"user": "u", "prompt_cache_key": "k"},
        {"extra": {"user": "u", "prompt_cache_key": "k"}},
    ),
    "off is not asked for": (
        {"logprobs": False, "top_logprobs": 0, "logit_bias": {}, "n": 1, "modalities": ["text"]},
        {"ignored": [], "extra": {}},
    ),
    "hints": (
        {"seed": 0, "presence_penalty": 0.1, "frequency_penalty": 0, "verbosity": "low"},
        {"ignored": [], "extra": {"presence_penalty": 0.1, "seed": 0, "verbosity": "low"}},
    ),
    "bookkeeping": (
        {"store": True, "metadata": {"a": "b"}, "service_tier": "auto", "safety_identifier": "x"},
        {"ignored": [], "extra": {"store": True, "metadata": {"a": "b"}, "safety_identifier": "x"}},
    ),
    "what only some can do": (
        {"logit_bias": {"5": -100}, "web_search_options": {}},
        {"ignored": [], "extra": {"logit_bias": {"5": -100}, "web_search_options": {}}},
    ),
    "unknown fields": ({"thinking": {"type": "enabled"}, "x": None, "y": []}, {"ignored": ["thinking"]}),
}


@pytest.mark.parametrize(("fields", "expected"), PARAMETERS.values(), ids=PARAMETERS)
def test_parameters(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    """Each parameter is carried over to the request, or named as ignored."""
    request = read(**fields)
    assert expected == {name: getattr(request, name) for name in expected}


def test_content_that_only_some_take() -> None:
    """Audio, and images by plain http, are passed on, and the place of the first of each is noted."""
    speech = {"type": "input_audio", "input_audio": SPEECH}
    shown = {"type": "image_url", "image_url": {"url": "http://cam.lan/1.png"}}
    request = read({"role": "user", "content": [{"type": "text", "text": "x"}, speech, shown, shown]})
    assert request.messages[0].parts[1:3] == [Audio("AA", "wav"), Image(url="http://cam.lan/1.png")]
    assert request.extra == {
        "input_audio": "messages[0].content[1]",
        "http_images": "messages[0].content[2]",
    }


def test_a_file_that_is_inline_needs_no_id() -> None:
    """A file that is inline is taken, whatever stored file it also names; the name is said to be ignored."""
    inline = {"file_data": "data:application/pdf;base64,JVBERi0x", "filename": "a.pdf"}
    found, wanted = OpenAIChat().open(file(**inline, file_id="file-1")), OpenAIChat().open(file(**inline))
    assert found.request.messages == wanted.request.messages
    assert found.request.ignored == ["messages.content.file.file_id"]


@pytest.mark.parametrize("role", ["system", "user", "assistant"])
def test_names_are_ignored(role: str) -> None:
    """The name of a speaker is not sent upstream, and the client is told."""
    assert read({"role": role, "content": "x", "name": "Bob"}, USER).ignored == ["messages.name"]


def test_a_function_is_asked_by_its_name() -> None:
    """A function's result belongs to the latest call of that name."""
    call = {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}
    result = {"role": "function", "name": "f", "content": "x"}
    messages = read(call, result, call, result).messages
    ids = [part.id for message in messages for part in message.parts if isinstance(part, ToolResult)]
    assert ids == ["callmessages0", "callmessages2"]


def test_text_arrives_as_it_was_written() -> None:
    """No character of the input is changed."""
    text = "a\u0000b\r\n\t€ 🦀 </system> /clear @file \u2028"
    assert read({"role": "user", "content": text}).messages == [Message("user", [Text(text)])]


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
