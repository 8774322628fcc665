"""The whole path: an OpenAI client, the proxy with a ``proxy.toml``, and scripted upstreams over HTTP."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from claude_max_proxy.config import load
from claude_max_proxy.gateway import fallback as fallback_module
from claude_max_proxy.http_upstream import client as client_module
from claude_max_proxy.runtime.runtime import Runtime
from claude_max_proxy.server.app import build_app
from claude_max_proxy.testing import (
    Drop,
    ErrorEvent,
    Fault,
    Hang,
    Reply,
    ScriptedOpenAI,
    ScriptedUpstream,
    Text,
    Thinking,
    ToolUse,
    api_limit_headers,
    fault,
    limit_headers,
    openai_limit_headers,
)
from claude_max_proxy.testing.listener import Listener
from tests import pictures
from tests.pictures import data_url


PROXY_TOML = """
[models]
"o" = "local/llama"
"a" = "claude-api/claude-x"
"text-embedding-3-small" = "local/embedder"

[backends.local]
type = "openai"
base_url = "{openai}"
api_key = "env:LOCAL_KEY"
retries = 1
models = {{ llama = {{ context_window = 8192, modalities = ["text"], owner = "meta" }} }}

[backends.claude-api]
type = "anthropic"
base_url = "{anthropic}"
api_key = "file:{key}"
retries = 1
thinking = "adaptive"

[plugins]
paths = []
"""
BOTH = pytest.mark.parametrize("model", ["o", "a"])
TOOL: Any = {
    "type": "function",
    "function": {"name": "add", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}},
}
PNG = data_url(pictures.PNG)
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


def windows(house: House, backend: str) -> dict[str, float | None]:
    """Return how far the limits of a backend are used."""
    return {window.name: window.used for window in house.runtime.backends[backend].windows()}


class House:
    """The proxy, a client for it, and both upstreams."""

    def __init__(self, url: str, runtime: Runtime, upstreams: dict[str, ScriptedUpstream]) -> None:
        """Set up the client."""
        self.url = url
        self.runtime = runtime
        self.upstreams = upstreams
        self.client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0, timeout=10)

    async def ask(self, model: str, text: str = "hi", **fields: Any) -> Any:
        """Ask one question."""
        fields.setdefault("messages", [{"role": "user", "content": text}])
        return await self.client.chat.completions.create(model=model, **fields)

    async def stream(self, model: str, **fields: Any) -> list[Any]:
        """Ask one question and return every chunk of the answer."""
        options = {"include_usage": True}
        return [part async for part in await self.ask(model, stream=True, stream_options=options, **fields)]


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    """A proxy in front of an OpenAI-compatible server and the Messages API."""
    monkeypatch.setattr(client_module, "_BACKOFF", 0.001)
    monkeypatch.setattr(fallback_module, "_PAUSE", 0.001)
    monkeypatch.setenv("LOCAL_KEY", "sk-local")
    (tmp_path / "key").write_text("sk-ant\n")
    async with ScriptedOpenAI() as local, ScriptedUpstream() as anthropic:
        text = PROXY_TOML.format(openai=local.base_url, anthropic=anthropic.url, key=tmp_path / "key")
        (tmp_path / "proxy.toml").write_text(text)
        runtime = Runtime(load(tmp_path / "proxy.toml"))
        del runtime.backends["claude"]  # no CLI is needed here
        await runtime.start()
        listener = Listener(build_app(runtime))
        port = await listener.start()
        made = House(f"http://127.0.0.1:{port}", runtime, {"o": local, "a": anthropic})
        yield made
        await made.client.close()
        await listener.stop()
        await runtime.stop()


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


@BOTH
@pytest.mark.parametrize("failing", [fault(529), Drop()])
async def test_tried_again(house: House, model: str, failing: Any) -> None:
    """A temporary failure before the first byte is not visible to the client."""
    house.upstreams[model].script(failing, Reply((Text("yes"),)))
    assert (await house.ask(model)).choices[0].message.content == "yes"
    assert len(house.upstreams[model].requests) == 2


@BOTH
@pytest.mark.parametrize(
    ("failing", "status", "code"),
    [
        (fault(401, "bad key"), 401, "not_logged_in"),
        (fault(404, "no model"), 404, "model_not_found"),
        (fault(400, "prompt is too long: 9 > 8"), 400, "context_length_exceeded"),
        (fault(429, "slow down"), 429, "rate_limit_exceeded"),
    ],
)
async def test_failures(house: House, model: str, failing: Any, status: int, code: str) -> None:
    """A failure has its status, its code, and the upstream's words."""
    house.upstreams[model].script(failing)
    with pytest.raises(openai.APIStatusError) as caught:
        await house.ask(model, stream=True)
    body: Any = caught.value.body
    assert (caught.value.status_code, body["code"]) == (status, code)
    assert failing.message in body["message"]


@BOTH
@pytest.mark.parametrize("failing", [ErrorEvent(3), Drop(3)])
async def test_a_failure_in_the_middle(house: House, model: str, failing: Any) -> None:
    """After the first words a failure is an error in the stream, and is not tried again."""
    house.upstreams[model].script(failing)
    with pytest.raises(openai.APIError):
        await house.stream(model)
    assert len(house.upstreams[model].requests) == 1
    assert house.runtime.health()["status"] == "degraded"


@BOTH
@pytest.mark.parametrize("failing", [ErrorEvent(3), Drop(3)])
async def test_a_whole_answer_that_breaks_off(house: House, model: str, failing: Any) -> None:
    """A whole answer is asked for again, since nothing was sent yet, and no more often than configured."""
    upstream = house.upstreams[model]
    upstream.script(failing, Reply((Text("yes"),)))
    assert (await house.ask(model)).choices[0].message.content == "yes"
    assert len(upstream.requests) == 2

    upstream.script(failing, failing, Reply((Text("too late"),)))
    with pytest.raises(openai.APIStatusError):
        await house.ask(model)
    assert len(upstream.requests) == 4


@BOTH
@pytest.mark.parametrize("after", [None, 3])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves(house: House, model: str, after: int | None, stream: bool) -> None:
    """The upstream notices when the client disconnects, whatever was sent by then."""
    upstream = house.upstreams[model]
    upstream.script(Hang(after))
    body = {"model": model, "messages": [{"role": "user", "content": "x"}], "stream": stream}
    async with httpx.AsyncClient(timeout=30) as client:
        asked = asyncio.get_running_loop().create_task(
            client.post(f"{house.url}/v1/chat/completions", json=body)
        )
        async with asyncio.timeout(10):
            while not upstream.requests:  # noqa: ASYNC110  # nothing tells of it
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)  # what it says before it hangs is on its way
        asked.cancel()
        await asyncio.wait([asked])
    await upstream.idle(within=10)
    assert upstream.requests[0].disconnected


async def test_connections_are_used_again(house: House) -> None:
    """Several answers in turn, whole or streamed, use one connection."""
    for _ in range(5):
        await house.ask("o")
        await house.stream("a")
    listeners = [upstream._listener for upstream in house.upstreams.values()]
    assert [len(listener._state.connections) for listener in listeners] == [1, 1]


async def test_many_at_once(house: House) -> None:
    """Answers at the same time are not mixed up."""
    texts = [f"question {number}" for number in range(40)]
    answers = await asyncio.gather(*[house.ask("oa"[n % 2], text) for n, text in enumerate(texts)])
    assert [a.choices[0].message.content for a in answers] == [f"You said: {text}" for text in texts]


async def test_what_openai_honours(house: House) -> None:
    """Parameters and content that an OpenAI-compatible server knows reach it; none is named as ignored."""
    parts = [
        {"type": "text", "text": "look and listen"},
        {"type": "image_url", "image_url": {"url": "http://cam.lan/now.png"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
    ]
    fields: dict[str, Any] = {"seed": 0, "logit_bias": {"50256": -100}, "user": "me", "verbosity": "low"}
    raw = house.client.chat.completions.with_raw_response
    answer = await raw.create(model="o", messages=[{"role": "user", "content": parts}], **fields)  # type: ignore[misc,list-item]
    assert "x-proxy-ignored" not in answer.headers
    body = house.upstreams["o"].requests[0].body
    assert {name: body[name] for name in fields} == fields
    assert body["messages"][0]["content"] == parts


async def test_what_anthropic_does_not(house: House) -> None:
    """The same parameters are ignored by name, or refused, if the model's backend does not know them."""
    raw = house.client.chat.completions.with_raw_response
    hello: Any = [{"role": "user", "content": "hi"}]
    answer = await raw.create(model="a", messages=hello, seed=0, verbosity="low", user="me")
    assert answer.headers["x-proxy-ignored"] == "seed, verbosity"
    with pytest.raises(openai.BadRequestError) as caught:
        await house.ask("a", logit_bias={"50256": -100})
    assert caught.value.param == "logit_bias"
    assert len(house.upstreams["a"].requests) == 1


@pytest.mark.parametrize("given", ["abc", ["a", "abc"], [1, 2, 3], [[1], [2, 3]]])
async def test_embeddings(house: House, given: Any) -> None:
    """Embeddings are those of the upstream's model, for text and tokens."""
    answer = await house.client.embeddings.create(
        model="text-embedding-3-small", input=given, encoding_format="float", dimensions=3
    )
    count = len(given) if isinstance(given, list) and not isinstance(given[0], int) else 1
    assert len(answer.data) == count
    upstream: Any = house.upstreams["o"]
    body = {"model": "embedder", "input": given, "encoding_format": "float", "dimensions": 3}
    assert upstream.embedded[0].body == body


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({"model": "a", "input": "x"}, 404, "embeddings_not_supported", "model"),
        ({"model": "unheard-of", "input": "x"}, 404, "model_not_found", "model"),
        ({"model": "o"}, 400, "invalid_request", "input"),
        ({"input": "x"}, 400, "invalid_request", "model"),
        ({"model": "o", "input": 7}, 400, "invalid_request", "input"),
        ({"model": "o", "input": ""}, 400, "invalid_request", "input"),
        ({"model": "o", "input": []}, 400, "invalid_request", "input"),
        ([], 400, "invalid_request", None),
    ],
)
async def test_embeddings_that_cannot_be(
    house: House, body: Any, status: int, code: str, param: str | None
) -> None:
    """What cannot be embedded is refused at once, with the field and the reason."""
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{house.url}/v1/embeddings", json=body)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (status, code, param)
        broken = await client.post(
            f"{house.url}/embeddings", content=b"{", headers={"content-type": "application/json"}
        )
        assert broken.json()["error"]["code"] == "invalid_json"


async def test_embeddings_that_fail(house: House) -> None:
    """A failing upstream's error is passed on as for an answer."""
    house.upstreams["o"].script(fault(401), fault(529), fault(529))
    with pytest.raises(openai.AuthenticationError):
        await house.client.embeddings.create(model="text-embedding-3-small", input="x")
    with pytest.raises(openai.InternalServerError):
        await house.client.embeddings.create(model="text-embedding-3-small", input="x")


async def test_what_is_known_of_models(house: House) -> None:
    """The model list shows what the configuration says."""
    async with httpx.AsyncClient() as client:
        row = (await client.get(f"{house.url}/v1/models/o")).json()
        other = (await client.get(f"{house.url}/v1/models/a")).json()
    assert (row["context_window"], row["input_modalities"], row["owned_by"]) == (8192, ["text"], "meta")
    assert other["owned_by"] == "anthropic"


async def ask_messages(house: House, path: str, **fields: Any) -> httpx.Response:
    """Ask in the form of the Messages API."""
    body = {"model": "a", "max_tokens": 2000, "messages": [{"role": "user", "content": "hi"}], **fields}
    headers = {"anthropic-beta": "context-management-2025-06-27,two-2025-01-01"}
    async with httpx.AsyncClient(base_url=house.url, timeout=10, trust_env=False) as client:
        return await client.post(path, json=body, headers=headers)


async def test_what_only_the_messages_api_has(house: House) -> None:
    """Anthropic's own tools, fields and beta features are passed on to Anthropic."""
    search = {"type": "web_search_20250305", "name": "web_search"}
    fields = {"top_k": 5, "metadata": {"user_id": "me"}, "context_management": {"edits": []}}
    answer = await ask_messages(house, "/v1/messages", tools=[search], **fields)
    assert answer.json()["content"] == [{"type": "text", "text": "You said: hi"}]
    assert "x-proxy-ignored" not in answer.headers
    request = house.upstreams["a"].requests[0]
    assert request.headers["anthropic-beta"] == "context-management-2025-06-27,two-2025-01-01"
    assert (request.body["tools"][0]["type"], request.body["top_k"]) == ("web_search_20250305", 5)
    assert request.body["metadata"] == {"user_id": "me"}

    refused = await ask_messages(house, "/v1/messages", model="o", tools=[search])
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "tools[0]")
    ignored = await ask_messages(house, "/v1/messages", model="o", **fields)
    assert set(ignored.headers["x-proxy-ignored"].split(", ")) == {"top_k", "context_management"}


@pytest.mark.parametrize("thinking", [{"type": "adaptive"}, {"type": "enabled", "budget_tokens": 1500}])
async def test_thinking_there_and_back(house: House, thinking: Any) -> None:
    """A client that asks for thinking gets signed thoughts, and they are sent back to the same upstream."""
    house.upstreams["a"].script(Reply((Thinking("hm hm"), Text("Hello"))))
    answer = await ask_messages(house, "/v1/messages", thinking=thinking)
    assert house.upstreams["a"].requests[0].body["thinking"] == thinking
    content = answer.json()["content"]
    assert content[0] == {"type": "thinking", "thinking": "hm hm", "signature": "signed-5"}
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": content},
        {"role": "user", "content": "and?"},
    ]
    await ask_messages(house, "/v1/messages", thinking=thinking, messages=messages)
    assert house.upstreams["a"].requests[1].body["messages"][1]["content"] == content


async def test_counts(house: House) -> None:
    """Anthropic counts tokens itself; for a server that cannot, the count is an estimate."""
    counted = await ask_messages(house, "/v1/messages/count_tokens")
    assert counted.json()["input_tokens"] > 1
    assert "x-proxy-estimated" not in counted.headers
    estimated = await ask_messages(house, "/v1/messages/count_tokens", model="o")
    assert estimated.json()["input_tokens"] > 1
    assert estimated.headers["x-proxy-estimated"] == "true"


def refuse(name: str, text: str) -> Any:
    """Return an upstream that refuses a field."""
    return lambda body: fault(400, text) if name in body else None


@BOTH
@pytest.mark.parametrize("stream", [False, True])
async def test_a_refused_parameter(stream: bool, model: str, house: House) -> None:
    """A parameter that the server refuses is left out, from the start once that is known, and named."""
    upstream = house.upstreams[model]
    upstream.answer_with(refuse("stop" if model == "o" else "stop_sequences", "'stop' is not supported"))
    for count in (2, 1):
        raw = await house.client.chat.completions.with_raw_response.create(
            model=model, messages=[{"role": "user", "content": "hi"}], stop=["END"], stream=stream
        )
        assert raw.headers["x-proxy-ignored"] == "stop"
        assert len(upstream.requests) == count
        upstream.requests.clear()


@BOTH
async def test_a_refused_meaning(model: str, house: House) -> None:
    """If the server refuses a forced tool, the client has to change it, and the error says how."""
    upstream = house.upstreams[model]
    upstream.answer_with(refuse("tool_choice", "tool_choice: type 'any' is not supported for this model"))
    with pytest.raises(openai.BadRequestError, match='leave it at "auto"') as caught:
        await house.ask(model, tools=[TOOL], tool_choice="required")
    assert caught.value.param == "tool_choice"
    assert len(upstream.requests) == 1


async def test_the_provider_s_limits(house: House) -> None:
    """The headers of an answer, and of a refusal, tell how far the provider's limits are used."""
    assert windows(house, "local") == {}
    house.upstreams["o"].script(Reply((Text("hi"),), headers=openai_limit_headers(0.25)))
    await house.ask("o")
    assert windows(house, "local") == {"requests": 0.25, "tokens": 0.25}
    (requests, _) = house.runtime.backends["local"].windows()
    assert requests.resets_at == pytest.approx(time.time() + 360, abs=5)
    headers = {**api_limit_headers(0.5), **limit_headers("allowed_warning", 0.91)}
    refusal = Fault(400, "invalid_request_error", "no", headers)
    house.upstreams["a"].script(refusal)
    with pytest.raises(openai.BadRequestError):
        await house.ask("a")
    found = {"five_hour": 0.91, "input_tokens": 0.5, "plan": None, "requests": 0.5, "tokens": 0.5}
    assert windows(house, "claude-api") == found
