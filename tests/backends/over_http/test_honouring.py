"""Both backends over HTTP, through the whole proxy: what each of the APIs can do, and embeddings."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
import openai
import pytest

from claude_max_proxy.testing import (
    Fault,
    Reply,
    Text,
    Thinking,
    api_limit_headers,
    fault,
    limit_headers,
    openai_limit_headers,
)
from tests.backends.over_http.conftest import House


def windows(house: House, backend: str) -> dict[str, float | None]:
    """Return how far the limits of a backend are used."""
    return {window.name: window.used for window in house.runtime.backends[backend].windows()}


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
