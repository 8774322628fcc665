"""The scripted API refuses what the real one refuses, and records everything that it receives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from claude_max_proxy.testing import Reply, ScriptedUpstream, Text
from tests.judging import BASE, HEADERS


BLANK = "messages: text content blocks must contain non-whitespace text"


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    """A scripted API that is served."""
    async with ScriptedUpstream() as served:
        yield served


@pytest.fixture
async def client(upstream: ScriptedUpstream) -> AsyncIterator[httpx.AsyncClient]:
    """A client for the scripted API."""
    async with httpx.AsyncClient(base_url=upstream.url, headers=HEADERS, timeout=5, trust_env=False) as made:
        yield made


async def post(client: httpx.AsyncClient, text: str) -> httpx.Response:
    """Return the answer to this text."""
    body: dict[str, Any] = BASE | {"messages": [{"role": "user", "content": text}]}
    return await client.post("/v1/messages", json=body)


async def test_it_refuses_what_the_api_refuses(upstream: ScriptedUpstream, client: httpx.AsyncClient) -> None:
    """A fault is refused before any scripted answer, in the API's envelope, and is kept with the request."""
    upstream.script(Reply((Text("hello"),)))
    response = await post(client, " ")
    assert response.status_code == 400
    assert response.json()["error"] == {"type": "invalid_request_error", "message": BLANK}
    assert (await post(client, "x")).json()["content"][0]["text"] == "hello"
    await upstream.idle()
    assert [one.refusal for one in upstream.requests] == [BLANK, ""]


async def test_counts_are_kept_and_judged_like_questions(
    upstream: ScriptedUpstream, client: httpx.AsyncClient
) -> None:
    """A request to count tokens needs no limit, and is refused for the same faults."""
    body = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
    assert (await client.post("/v1/messages/count_tokens", json=body)).status_code == 200
    body["messages"] = []
    assert (await client.post("/v1/messages/count_tokens", json=body)).status_code == 400
    assert [bool(one.refusal) for one in upstream.counts] == [False, True]
    assert upstream.requests == []


async def test_every_arrival_is_kept(upstream: ScriptedUpstream, client: httpx.AsyncClient) -> None:
    """Whatever its path, a request stays among the arrivals, also if the rest is forgotten."""
    await post(client, "x")
    await client.head("/")
    await client.post("/v1/messages/count_tokens", json={})
    await client.post("/elsewhere", json={})
    upstream.clear()
    assert upstream.requests == upstream.counts == upstream.probes == upstream.others == []
    kept = [(one.method, one.path) for one in upstream.arrivals]
    assert kept == [
        ("POST", "/v1/messages"),
        ("HEAD", "/"),
        ("POST", "/v1/messages/count_tokens"),
        ("POST", "/elsewhere"),
    ]


async def test_who_says_so_gets_an_answer_to_anything() -> None:
    """Without strictness, what the API would refuse is answered."""
    async with ScriptedUpstream(strict=False) as upstream:
        async with httpx.AsyncClient(base_url=upstream.url, trust_env=False) as client:
            assert (await post(client, " ")).status_code == 200
        assert upstream.requests[0].refusal == ""


async def test_a_request_may_be_too_large(upstream: ScriptedUpstream, client: httpx.AsyncClient) -> None:
    """Of a body above 32 MiB the API reads nothing."""
    response = await post(client, "x" * (32 * 1024 * 1024))
    assert response.status_code == 413
    assert response.json()["error"]["type"] == "request_too_large"
    assert upstream.requests[0].refusal == "Request exceeds the maximum size"
