"""Odd JSON in every place that accepts any: never a 500, and a 400 that says where nesting is too deep."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import msgspec
import pytest

from claude_max_proxy import Client, Message, ProxyError, Request, ToolCall
from claude_max_proxy.backends.claude_cli import exactness, fingerprint, tools
from claude_max_proxy.backends.claude_cli.accepted_schema import accepted
from claude_max_proxy.backends.claude_cli.choice import Wanted
from claude_max_proxy.backends.claude_cli.process_kind import ProcessKind
from claude_max_proxy.backends.claude_cli.translation import history_lines
from claude_max_proxy.backends.claude_cli.validation import check
from claude_max_proxy.config import parse
from claude_max_proxy.dialects.anthropic_messages import AnthropicMessages
from claude_max_proxy.dialects.openai_chat import OpenAIChat
from claude_max_proxy.dialects.openai_completions import OpenAICompletions
from claude_max_proxy.dialects.openai_responses import OpenAIResponses
from claude_max_proxy.formats import tool_ids
from claude_max_proxy.formats.json_schema import compile_schema, value_problem
from claude_max_proxy.formats.nesting import deep_path, deep_place, is_deep
from claude_max_proxy.runtime.runtime import Runtime
from claude_max_proxy.server.app import build_app
from claude_max_proxy.testing import ScriptedOpenAI, ScriptedUpstream


def objects(depth: int) -> str:
    """Return objects within objects."""
    return '{"a":' * depth + "{}" + "}" * depth


def lists(depth: int) -> str:
    """Return lists within lists, in an object."""
    return '{"type":"object","x":' + "[" * depth + "]" * depth + "}"


def schema(depth: int) -> str:
    """Return a schema within schemas."""
    return '{"type":"object","properties":{"a":' * depth + '{"type":"string"}' + "}}" * depth


CLOSED = '{{"type":"object","properties":{{"{0}":{1}}},"required":["{0}"],"additionalProperties":false}}'
# The depths go up to where Python gives up, which is somewhere between 850 and 1,000.
ODD = {
    **{f"objects {depth}": objects(depth) for depth in (150, 450, 850, 900, 930, 2000)},
    **{f"lists {depth}": lists(depth) for depth in (850, 930, 5000)},
    **{f"schema {depth}": schema(depth) for depth in (40, 150, 450)},
    "required: 5": '{"type":"object","required":5}',
    "properties: 5": '{"type":"object","properties":5}',
    "type: {}": '{"type":{}}',
    "a type: {} inside": '{"type":"object","properties":{"a":{"type":{}}}}',
    "required: [{}]": '{"type":"object","required":[{}]}',
    "a property named properties": CLOSED.format("properties", "true"),
    "a property named required": CLOSED.format("required", '{"type":"string"}'),
    "a default that looks like a schema": CLOSED.format("a", '{"default":{"type":"object","required":7}}'),
    "an enum of schemas": CLOSED.format("a", '{"enum":[{"properties":5}]}'),
    "a number of 400 digits": '{"type":"object","x":' + "9" * 400 + "}",
    "a number of 30 digits": '{"type":"object","x":' + "9" * 30 + "}",
    "a number of 5,000 digits": '{"type":"object","x":' + "9" * 5000 + "}",
    "a name of 5,000 digits": '{"type":"object","' + "9" * 5000 + '":99999999999999999}',
    "1e999": '{"type":"object","x":1e999}',
    "NaN": '{"type":"object","x":NaN}',
    "a lone surrogate": '{"type":"object","x":"\\ud800"}',
    "a name twice": '{"type":"object","type":"object"}',
    "empty names": '{"type":"object","":{"":""}}',
    "a reference to nothing": '{"type":"object","$ref":"#/$defs/a"}',
    "a reference to itself": '{"type":"object","$ref":"#"}',
    "odd references": '{"type":"object","$ref":"#/%zz/~2","$dynamicRef":"#a"}',
    "an odd draft": '{"type":"object","$schema":5}',
    "a broken pattern": '{"type":"object","patternProperties":{"(":{}}}',
    "null": "null",
    "a number": "5",
    "a list": "[]",
    "a text": '""',
    "true": "true",
}
DEEP = [name for name in ODD if name.startswith(("objects", "lists", "schema"))]
SAID = '"messages":[{"role":"user","content":"q"}]'
TURN = '"messages":[{"role":"user","content":"q"},{"role":"assistant",%s},{"role":"user","content":%s}]'
ITEM = '"input":[%s,{"role":"user","content":"q"}]'
USED = '"content":[{"type":"tool_use","id":"c","name":"f","input":%s}]'
CALL = '{"id":"c","function":{"name":"f","arguments":~}}'
RESULT = '{"role":"tool","tool_call_id":"c","content":"r"}'
CALLED = '{"type":"function_call","call_id":"c","name":"f","arguments":~}'
GIVEN = '[{"type":"tool_result","tool_use_id":"c"}]'
# A body except for its model, with a place for something odd; `~` is odd JSON as a text.
BODIES: dict[str, tuple[str, ...]] = {
    "/v1/chat/completions": (
        SAID + ',"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":%s}}',
        SAID + ',"tools":[{"type":"function","function":{"name":"f","parameters":%s}}]',
        SAID + ',"functions":[{"name":"f","parameters":%s}]',
        SAID + ',"metadata":%s',
        SAID + ',"prediction":%s',
        SAID + ',"web_search_options":%s',
        SAID + ',"unknown":%s',
        SAID + ',"tool_choice":%s',
        SAID + ',"stop":%s',
        SAID + ',"seed":%s',
        '"messages":[{"role":"user","content":"q","unknown":%s}]',
        '"messages":[{"role":"user","content":%s}]',
        '"messages":[{"role":"assistant","tool_calls":[' + CALL + "]}," + RESULT + "]",
    ),
    "/v1/messages": (
        SAID + ',"max_tokens":9,"tools":[{"name":"f","input_schema":%s}]',
        SAID + ',"max_tokens":9,"tools":[{"name":"f","input_schema":{"type":"object"},"cache_control":%s}]',
        SAID + ',"max_tokens":9,"tools":[{"type":"bash_1","name":"bash","unknown":%s}]',
        SAID + ',"max_tokens":9,"output_format":{"type":"json_schema","schema":%s}',
        SAID + ',"max_tokens":9,"context_management":%s',
        SAID + ',"max_tokens":9,"thinking":{"type":"adaptive","block_binding":%s}',
        '"max_tokens":9,' + TURN % (USED, GIVEN),
        '"max_tokens":9,"messages":[{"role":"user","content":[{"type":"text","text":"t","cache_control":%s}]}]',
        '"max_tokens":9,"messages":[{"role":"user","content":[{"type":"text","text":"t","unknown":%s}]}]',
    ),
    "/v1/messages/count_tokens": (
        SAID + ',"tools":[{"name":"f","input_schema":%s}]',
        TURN % (USED, GIVEN),
    ),
    "/v1/responses": (
        '"input":"q","tools":[{"type":"function","name":"f","parameters":%s}]',
        '"input":"q","tools":[{"type":"function","name":"f","unknown":%s}]',
        '"input":"q","tools":[{"type":"namespace","name":"n","tools":[%s]}]',
        '"input":"q","tools":[{"type":"web_search","unknown":%s}]',
        '"input":"q","text":{"format":{"type":"json_schema","name":"n","schema":%s}}',
        '"input":"q","metadata":%s',
        '"input":"q","context_management":%s',
        '"input":"q","tool_choice":{"type":"allowed_tools","mode":"auto","tools":[%s]}',
        '"input":[{"role":"user","content":"q","unknown":%s}]',
        '"input":[{"type":"item_reference","id":%s}]',
        '"input":[%s]',
        ITEM % '{"role":"assistant","content":[{"type":"output_text","text":"t","annotations":[%s]}]}',
        '"input":[' + CALLED + ',{"type":"function_call_output","call_id":"c","output":"r"}]',
    ),
    "/v1/completions": ('"prompt":%s', '"prompt":"p","user":%s', '"prompt":"p","logit_bias":%s'),
    "/v1/embeddings": ('"input":%s', '"input":"x","unknown":%s'),
}
PLACES = [(path, body) for path, bodies in BODIES.items() for body in bodies]
IDS = [f"{path} {body[-60:]}" for path, body in PLACES]


def written(model: str, body: str, odd: str) -> bytes:
    """Return a body with something odd in its place."""
    filled = body.replace("%s", odd).replace("~", json.dumps(odd))
    return f'{{"model":"{model}",{filled}}}'.encode()


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """A client of a proxy in front of both kinds of upstreams, which answer anything."""
    async with ScriptedOpenAI() as local, ScriptedUpstream() as anthropic:
        backends = {
            "local": {"type": "openai", "base_url": local.base_url, "retries": 0},
            "api": {"type": "anthropic", "base_url": anthropic.url, "retries": 0},
        }
        models = {"o": "local/m", "a": "api/m"}
        runtime = Runtime(parse({"models": models, "backends": backends, "plugins": {"paths": []}}, None))
        del runtime.backends["claude"]
        await runtime.start()
        transport = httpx.ASGITransport(build_app(runtime), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            yield client
        await runtime.stop()


@pytest.mark.parametrize(("path", "body"), PLACES, ids=IDS)
async def test_over_http(http: httpx.AsyncClient, path: str, body: str) -> None:
    """Everything is answered, or refused as the client's fault; deep nesting is refused with its place."""
    for (kind, odd), model in itertools.product(ODD.items(), "oa"):
        answer = await http.post(
            path, content=written(model, body, odd), headers={"content-type": "application/json"}
        )
        told = answer.json().get("error") or {}
        wrong = told.get("code") == "invalid_output"  # the scripted upstream knows no schemas
        assert answer.status_code < 500 or wrong, (kind, model, told)
        if "too deeply" in str(told.get("message")):
            assert answer.status_code == 400
            assert kind in DEEP
            assert told.get("param"), (kind, model, told)


CLI_PLACES = [(path, body) for path, body in PLACES if "embeddings" not in path and "count" not in path]
DIALECTS: dict[str, Callable[[], Any]] = {
    "/v1/chat/completions": OpenAIChat,
    "/v1/messages": AnthropicMessages,
    "/v1/responses": OpenAIResponses,
    "/v1/completions": OpenAICompletions,
}


def brought_to_the_cli(request: Request) -> None:
    """Do everything that is done with a request before it is sent to a process, and return what is sent."""
    check(request)
    exactness.inexact(request)
    kind = ProcessKind("m")
    Wanted(kind, fingerprint.root(request, kind), Client(), request.messages)
    names = tools.names_of(request)
    msgspec.json.encode(tools.definitions(request, names))
    if request.response_schema is not None:
        msgspec.json.encode(accepted(request.response_schema))
    for message in tool_ids.distinct(request.messages, tool_ids.plain):
        history_lines(message, names)


@pytest.mark.parametrize(
    ("path", "body"), CLI_PLACES, ids=[f"{path} {body[-60:]}" for path, body in CLI_PLACES]
)
def test_to_the_cli(path: str, body: str) -> None:
    """The same holds for the Claude Code CLI; nesting that is too deep is refused by its place."""
    for kind, odd in ODD.items():
        try:
            request = DIALECTS[path]().open(written("m", body, odd)).request
        except ProxyError:
            continue
        try:
            brought_to_the_cli(request)
        except ProxyError:
            pass
        except RecursionError:
            assert deep_path(request), kind


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b'{"model":"m","metadata":%b}' % objects(200).encode(), "metadata.a.a.a"),
        (
            b'{"tools":[{"x":"]]}\\"["},{"function":{"parameters":%b}}]}' % objects(200).encode(),
            "tools[1].function.parameters",
        ),
        (b"[" * 200, "[0][0][0][0]"),
        (b'{"a":%b}' % objects(50).encode(), ""),
        (b"}}}]]]", ""),
        (b"", ""),
    ],
)
def test_the_place_in_a_body(body: bytes, place: str) -> None:
    """The place where nesting is too deep is found in the bytes, whatever the texts contain."""
    assert deep_place(body) == place


def test_how_deep_is_too_deep() -> None:
    """A hundred levels are accepted everywhere, and the arguments of calls are checked, too."""
    assert not is_deep(msgspec.json.decode(objects(98)))
    assert is_deep(msgspec.json.decode(objects(101)))
    request = Request("m")
    assert deep_path(request) == ""
    request.messages.append(Message("assistant", [ToolCall("c", "f", objects(5000))]))
    assert deep_path(request) == "messages"


# --- schemas that are followed in more ways than anybody has time for


def branching(depth: int, key: str, inside: str = "") -> dict[str, Any]:
    """Return a schema of so many levels, each of which refers to the next one twice."""
    definitions: dict[str, Any] = {f"a{depth}": {"type": "string"}}
    for level in range(depth):
        twice = [{"$ref": f"#/$defs/a{level + 1}"}] * 2
        definitions[f"a{level}"] = {"properties": {"x": {key: twice}}} if inside else {key: twice}
    return {"type": "object", "properties": {"x": {"$ref": "#/$defs/a0"}}, "$defs": definitions}


@pytest.mark.parametrize("key", ["anyOf", "oneOf", "allOf"])
@pytest.mark.parametrize("inside", ["", "in properties"])
def test_a_schema_that_branches(key: str, inside: str) -> None:
    """Forty levels of two references each are refused at once, by their path; ten are an ordinary schema."""
    with pytest.raises(ProxyError, match="too many ways") as caught:
        compile_schema(branching(40, key, inside), "here")
    assert (caught.value.status, caught.value.param) == (400, "here")
    validator = compile_schema(branching(10, key, inside), "here")
    assert (
        "breaks the schema's rule" in value_problem(validator, {"x": 1 if not inside else {"x": {"x": 1}}})
        or inside
    )


def test_a_schema_that_recurs() -> None:
    """A schema of trees, which refers to itself, is an ordinary schema."""
    node = {"type": "object", "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}}
    assert value_problem(compile_schema(node, "here"), {"left": {"left": {}, "right": {}}}) == ""
