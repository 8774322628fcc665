"""Writing a request to the Messages API: the bytes for a Request."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from claude_max_proxy import (
    File,
    Image,
    InvalidRequest,
    Message,
    Part,
    Reasoning,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from claude_max_proxy.backends.anthropic_api.settings import AnthropicApiSettings
from claude_max_proxy.backends.anthropic_api.tools import answer_tool
from claude_max_proxy.backends.anthropic_api.writing import headers, write
from claude_max_proxy.errors import BeyondModel


HI = Message("user", [Text("hi")])
SCHEMA = {"type": "object", "properties": {"a": {"$ref": "#/x"}}, "x-mine": [1, None]}
MARK = {"type": "ephemeral"}
ANSWER = {"name": "answer", "description": "Give the answer.", "input_schema": SCHEMA}


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
PARAMETERS: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({}, {}, {}),
    ({"max_tokens": 5}, {}, {"max_tokens": 5}),
    ({}, {"max_tokens": 100}, {"max_tokens": 100}),
    ({"system": "be brief"}, {}, {"system": [{"type": "text", "text": "be brief"}]}),
    ({"system": " "}, {}, {}),
    ({"stop": ["a"]}, {}, {"stop_sequences": ["a"]}),
    ({"temperature": 0.0, "top_p": 0.5}, {}, {"temperature": 0.0, "top_p": 0.5}),
]


@pytest.mark.parametrize(("fields", "settings", "wire"), PARAMETERS)
def test_parameters(fields: dict[str, Any], settings: dict[str, Any], wire: dict[str, Any]) -> None:
    """Each parameter has its place, and what is not set is not sent, except the limit, which is required."""
    assert written(asked(**fields), **settings) == PLAIN | wire


def test_a_conversation() -> None:
    """Messages keep their true roles, results come first, and what the API refuses is left out."""
    request = Request(
        "x",
        messages=[
            HI,
            Message(
                "assistant",
                [Reasoning("hm"), Text(""), ToolCall("c:1", "f", '{"a":1}'), ToolCall("c2", "g", "")],
            ),
            Message(
                "user",
                [
                    Text("and?"),
                    ToolResult("c:1", (Text("one"), Image("image/png", "AAAA"), Text(""))),
                    ToolResult("c2", (), is_error=True),
                ],
            ),
            Message("assistant", [Text(" \n")]),
        ],
    )
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    assert written(request)["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "c_1", "name": "f", "input": {"a": 1}},
                {"type": "tool_use", "id": "c2", "name": "g", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "c_1",
                    "content": [{"type": "text", "text": "one"}, image],
                },
                {"type": "tool_result", "tool_use_id": "c2", "content": [], "is_error": True},
                {"type": "text", "text": "and?"},
            ],
        },
    ]


def test_images_and_documents() -> None:
    """Images are sent by URL or as data, documents as PDF or as text, with their names."""
    parts: list[Part] = [
        Image(url="https://x/y.png"),
        File("application/pdf", "BBBB", "a.pdf"),
        File("text/plain", base64.b64encode(b"hello").decode()),
    ]
    assert written(Request("x", messages=[Message("user", parts)]))["messages"][0]["content"] == [
        {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "BBBB"},
            "title": "a.pdf",
        },
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hello"}},
    ]


@pytest.mark.parametrize("arguments", ["{", "[1]", "7"])
def test_arguments_that_are_no_object(arguments: str) -> None:
    """If a call's arguments are no object, they are sent inside of one, so that the model sees them."""
    call = Message("assistant", [ToolCall("c", "f", arguments)])
    block = written(Request("x", messages=[HI, call]))["messages"][1]["content"][0]
    assert block["input"] == {"arguments": arguments}


THOUGHTS: list[Part] = [
    Reasoning("hm", "sig"),
    Reasoning("", "EoF=", redacted=True),
    Reasoning("unsigned"),
    Text("a"),
]


@pytest.mark.parametrize(
    ("setting", "kinds"),
    [
        ("adaptive", ["thinking", "redacted_thinking", "text"]),
        ("off", ["text"]),
    ],
)
def test_thoughts_handed_back(setting: str, kinds: list[str]) -> None:
    """If the model thinks, its own signed thoughts are sent back; those of others are not."""
    request = Request("x", messages=[HI, Message("assistant", list(THOUGHTS)), HI])
    body = written(request, thinking=setting)
    assert [block["type"] for block in body["messages"][1]["content"]] == kinds


def test_tools() -> None:
    """Tools are sent with their schemas unchanged."""
    body = written(asked(tools=[Tool("f", "does f", SCHEMA), Tool("g")]))
    assert body["tools"] == [
        {"name": "f", "description": "does f", "input_schema": SCHEMA},
        {"name": "g", "input_schema": {"type": "object", "properties": {}}},
    ]


@pytest.mark.parametrize(
    ("choice", "wire"),
    [
        (ToolChoice(), {"type": "auto"}),
        (ToolChoice("none", parallel=False), {"type": "none"}),
        (ToolChoice("required"), {"type": "any"}),
        (ToolChoice("named", "f"), {"type": "tool", "name": "f"}),
        (ToolChoice(parallel=False), {"type": "auto", "disable_parallel_tool_use": True}),
    ],
)
def test_tool_choice(choice: ToolChoice, wire: dict[str, Any]) -> None:
    """Every choice of tools has its counterpart."""
    assert written(asked(tools=[Tool("f")], tool_choice=choice))["tool_choice"] == wire


FORCED = {"type": "tool", "name": "answer", "disable_parallel_tool_use": True}
STRUCTURED: list[tuple[dict[str, Any], list[str], dict[str, Any]]] = [
    ({}, ["answer"], FORCED),
    ({"tools": [Tool("f")]}, ["f", "answer"], {"type": "any", "disable_parallel_tool_use": True}),
    ({"tools": [Tool("f")], "tool_choice": ToolChoice("none")}, ["f", "answer"], FORCED),
    ({"tools": [Tool("f")], "tool_choice": ToolChoice("required")}, ["f"], {"type": "any"}),
    (
        {"tools": [Tool("f")], "tool_choice": ToolChoice("named", "f")},
        ["f"],
        {"type": "tool", "name": "f"},
    ),
    (
        {"tools": [Tool("answer")], "tool_choice": ToolChoice("none")},
        ["answer", "answer_"],
        FORCED | {"name": "answer_"},
    ),
]


@pytest.mark.parametrize(("fields", "names", "choice"), STRUCTURED)
def test_a_structured_answer(fields: dict[str, Any], names: list[str], choice: dict[str, Any]) -> None:
    """A schema becomes a tool that must be called, unless the client's own must be."""
    request = asked(response_schema=SCHEMA, **fields)
    body = written(request)
    assert [tool["name"] for tool in body["tools"]] == names
    assert body["tool_choice"] == choice
    assert answer_tool(request) == (names[-1] if "answer" in names[-1] else "")
    assert ("answer" not in names[-1]) or body["tools"][-1] == ANSWER | {"name": names[-1]}


def test_a_schema_that_cannot_be() -> None:
    """A tool's input is an object, so a structured answer is one too."""
    with pytest.raises(InvalidRequest, match='must be "object"'):
        written(asked(response_schema={"type": "array"}))


ADAPTIVE = {"thinking": {"type": "adaptive"}}
THINKING: list[tuple[str, dict[str, Any], dict[str, Any], list[str]]] = [
    ("off", {}, {}, []),
    ("off", {"effort": "none"}, {}, []),
    ("off", {"effort": "high"}, {}, ["reasoning_effort"]),
    ("adaptive", {}, ADAPTIVE, []),
    ("adaptive", {"effort": "none"}, {}, []),
    ("adaptive", {"effort": "minimal"}, ADAPTIVE | {"output_config": {"effort": "low"}}, []),
    ("adaptive", {"effort": "max"}, ADAPTIVE | {"output_config": {"effort": "max"}}, []),
    ("adaptive", {"temperature": 0.5, "top_p": 0.9}, ADAPTIVE, ["temperature", "top_p"]),
    ("budget", {}, {"thinking": {"type": "enabled", "budget_tokens": 8192}, "max_tokens": 16384}, []),
    (
        "budget",
        {"effort": "low", "max_tokens": 3000},
        {"thinking": {"type": "enabled", "budget_tokens": 1500}, "max_tokens": 3000},
        [],
    ),
    ("budget", {"effort": "max", "max_tokens": 100, "top_p": 0.9}, {"max_tokens": 100, "top_p": 0.9}, []),
]


@pytest.mark.parametrize(("setting", "fields", "wire", "ignored"), THINKING)
def test_thinking(setting: str, fields: dict[str, Any], wire: dict[str, Any], ignored: list[str]) -> None:
    """Effort becomes thinking as the setting says, and what thinking excludes is named as ignored."""
    request = asked(**fields)
    assert written(request, thinking=setting) == PLAIN | wire
    assert request.ignored == ignored


@pytest.mark.parametrize("setting", ["adaptive", "budget"])
def test_no_thinking_where_a_tool_is_forced(setting: str) -> None:
    """The API does not let a model think if a tool is forced."""
    assert "thinking" not in written(asked(response_schema=SCHEMA, effort="high"), thinking=setting)


def test_no_budget_after_a_call() -> None:
    """With a budget the API requires signed thoughts before a call; if there are none, thinking is off."""
    call = Message("assistant", [ToolCall("c", "f", "{}")])
    request = Request("x", messages=[HI, call, Message("user", [ToolResult("c", (Text("1"),))])])
    assert "thinking" not in written(request, thinking="budget")
    assert "thinking" in written(request, thinking="adaptive")
    call.parts.insert(0, Reasoning("hm", "sig"))
    assert "thinking" in written(request, thinking="budget")


OWN: list[tuple[str, dict[str, Any], str | None, dict[str, Any]]] = [
    ("off", {"type": "adaptive"}, None, {"thinking": {"type": "adaptive"}}),
    (
        "off",
        {"type": "adaptive"},
        "low",
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
    ),
    (
        "adaptive",
        {"type": "enabled", "budget_tokens": 2000},
        "low",
        {"thinking": {"type": "enabled", "budget_tokens": 2000}},
    ),
    ("adaptive", {"type": "adaptive"}, "none", {}),
    ("adaptive", {"type": "disabled"}, None, {"thinking": {"type": "disabled"}}),
    ("adaptive", {}, None, {}),
]


@pytest.mark.parametrize(("setting", "thinking", "effort", "wire"), OWN)
def test_thinking_in_the_apis_own_words(
    setting: str, thinking: dict[str, Any], effort: Any, wire: dict[str, Any]
) -> None:
    """If a client sets thinking in the API's own form, it is passed on, whatever the setting."""
    request = asked(effort=effort, extra={"anthropic_thinking": thinking})
    assert written(request, thinking=setting) == PLAIN | wire


DISABLED = {"type": "disabled"}
BUDGET = {"type": "enabled", "budget_tokens": 5000}
# model, the client's thinking in the API's own form, effort: what is sent of both, what is ignored
BY_MODEL: list[tuple[str, Any, Any, dict[str, Any], list[str]]] = [
    ("claude-sonnet-5", DISABLED, None, {"thinking": DISABLED}, []),
    ("claude-sonnet-5", None, "none", {"thinking": DISABLED}, []),
    ("claude-sonnet-5-5", DISABLED, None, {"thinking": {"type": "between_tools"}}, ["thinking"]),
    ("claude-opus-5-5", DISABLED, None, {"output_config": {"effort": "low"}}, ["thinking"]),
    ("claude-opus-5-5", None, "none", {"output_config": {"effort": "low"}}, ["reasoning_effort"]),
    ("claude-opus-5-5", {}, None, {}, []),
    ("claude-sonnet-5", {}, None, {}, []),
    ("claude-3-5-haiku-latest", DISABLED, None, {}, []),
    ("claude-3-5-haiku-latest", BUDGET, "medium", {}, ["thinking"]),
    ("claude-haiku-4-5", BUDGET, "medium", {"thinking": BUDGET}, []),
    (
        "claude-haiku-4-5",
        {"type": "adaptive"},
        "low",
        {"thinking": {"type": "enabled", "budget_tokens": 2048}},
        [],
    ),
    ("claude-sonnet-4-6", BUDGET, "medium", {"thinking": BUDGET}, []),
    (
        "claude-sonnet-4-6",
        {"type": "adaptive"},
        "xhigh",
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
        [],
    ),
    (
        "claude-opus-5-5",
        BUDGET | {"display": "omitted"},
        "medium",
        {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "medium"}},
        [],
    ),
]


@pytest.mark.parametrize(("model", "own", "effort", "wire", "ignored"), BY_MODEL)
def test_thinking_as_the_model_takes_it(
    model: str, own: Any, effort: Any, wire: dict[str, Any], ignored: list[str]
) -> None:
    """A client's thinking is adapted to what its model accepts, and the client is told what is ignored."""
    request = asked(effort=effort, extra={} if own is None else {"anthropic_thinking": own})
    body = written(request, model=model)
    assert {name: body[name] for name in ("thinking", "output_config") if name in body} == wire
    assert request.ignored == ignored


@pytest.mark.parametrize(
    ("model", "sent", "ignored"),
    [
        ("m", {"temperature": 0.2, "top_p": 0.5, "top_k": 1}, []),
        ("claude-sonnet-4", {"temperature": 0.2, "top_p": 0.5, "top_k": 1}, []),
        ("claude-sonnet-4-5", {"temperature": 0.2, "top_k": 1}, ["top_p"]),
        ("claude-opus-4-7", {}, ["temperature", "top_p", "top_k"]),
        ("claude-haiku-5-5", {}, ["temperature", "top_p", "top_k"]),
        ("claude-opus-12", {}, ["temperature", "top_p", "top_k"]),
    ],
)
def test_sampling_as_the_model_takes_it(model: str, sent: dict[str, Any], ignored: list[str]) -> None:
    """Sampling that a model does not accept is left out and named."""
    request = asked(temperature=0.2, top_p=0.5, extra={"top_k": 1})
    body = written(request, model=model)
    assert {name: body[name] for name in ("temperature", "top_p", "top_k") if name in body} == sent
    assert request.ignored == ignored


def test_defaults_of_sampling_are_nothing_to_tell() -> None:
    """If a model has no sampling, default values are not sent, and not named as ignored either."""
    request = asked(temperature=1, top_p=1)
    assert not {"temperature", "top_p"} & written(request, model="claude-opus-5-5").keys()
    assert request.ignored == []


def test_models_that_cannot_be_forced() -> None:
    """Such a model is never forced to call a tool; a schema is sent in the API's newer form."""
    with pytest.raises(BeyondModel, match="claude-opus-5-5") as caught:
        written(asked(tools=[Tool("f")], tool_choice=ToolChoice("required")), model="claude-opus-5-5")
    assert caught.value.param == "tool_choice"

    request = asked(response_schema=SCHEMA)
    body = written(request, model="claude-opus-5-5")
    assert body["output_config"] == {"format": {"type": "json_schema", "schema": SCHEMA}}
    assert "tools" not in body
    assert answer_tool(request, "claude-opus-5-5") == ""


def test_what_only_this_api_has() -> None:
    """The API's own tools and fields are passed on, and beta features as a header."""
    search = {"type": "web_search_20250305", "name": "web_search"}
    extra = {
        "anthropic_beta": ["a-1", "b-2"],
        "anthropic_metadata": {"user_id": "u"},
        "anthropic_tools": {"tools[0]": search},
        "top_k": 5,
    }
    request = asked(extra=extra)
    body = written(request)
    assert (body["top_k"], body["tools"], body["metadata"]) == (5, [search], {"user_id": "u"})
    assert headers(request) == {"anthropic-beta": "a-1,b-2"}
    searching = written(asked(extra=extra, response_schema=SCHEMA))
    assert searching["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}


def test_the_prompt_cache() -> None:
    """The ends of the tools, the system prompt and the newest message get cache marks."""
    request = Request(
        "x",
        "be brief",
        [HI, Message("user", [Text("a"), Image(url="https://x/y.png")])],
        tools=[Tool("f"), Tool("g")],
    )
    body = written(request, cache=True)
    marked = [body["tools"][-1], body["system"][-1], body["messages"][-1]["content"][-1]]
    assert [block.get("cache_control") for block in marked] == [MARK] * 3
    assert msgspec.json.encode(body).count(b"cache_control") == 3
    assert "cache_control" not in str(written(request))
