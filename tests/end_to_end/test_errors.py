"""Every failure of the provider, through the real CLI with a subscription's login, as the client sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
import pytest_asyncio

from claude_max_proxy.testing import Drop, ErrorEvent, ScriptedUpstream, fault
from tests.end_to_end.chatting import ask, chunks, streamed_text
from tests.end_to_end.comparing import seen
from tests.end_to_end.conftest import StartProxy
from tests.end_to_end.running import RunningProxy, proxy_toml, until


RETRIES = 1
TRIES = 1 + RETRIES


class Case(msgspec.Struct):
    """What the upstream answers, and what a client must get.

    `tries` is how often the upstream is asked because it may pass; None leaves it to the CLI, which asks
    again after some refusals.
    """

    says: str
    status: int
    code: str
    text: str
    tries: int | None = None


CASES = {
    "login refused": Case("[[status 401 invalid bearer token]]", 401, "not_logged_in", "claude auth login"),
    "forbidden": Case("[[status 403 no access]]", 401, "not_logged_in", "claude auth login"),
    "plan used up": Case("[[limit]]", 429, "usage_limit_reached", "usage limit", 1),
    "too many requests": Case("[[status 429]]", 429, "rate_limit_exceeded", "rate limit", 1),
    "overloaded": Case("[[status 529 Overloaded]]", 503, "overloaded", "overloaded", TRIES),
    "unavailable": Case("[[status 503]]", 503, "overloaded", "overloaded", TRIES),
    "server error": Case("[[status 500]]", 502, "upstream_error", "failed", TRIES),
    "bad gateway": Case("[[status 502]]", 502, "upstream_error", "failed", TRIES),
    "dropped": Case("[[drop]]", 502, "upstream_error", "failed", TRIES),
    "too long": Case(
        "[[status 400 prompt is too long: 210000 tokens > 200000 maximum]]",
        400,
        "context_length_exceeded",
        "prompt is too long",
    ),
    "refused": Case("[[status 400 something is wrong]]", 400, "upstream_refused", "something is wrong"),
    "no such model": Case("[[status 404 model: nothing]]", 404, "model_not_found", "model"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxy(
    cli: str, shared_upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningProxy]:
    """Run the program with a subscription's login."""
    environment = {
        "ANTHROPIC_BASE_URL": shared_upstream.url,
        "CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-dummy",
    }
    running = RunningProxy(tmp_path_factory.mktemp("home"), environment)
    try:
        await running.start(proxy_toml(cli, {"retries": RETRIES}, {}))
        yield running
    finally:
        await running.end()


async def _both(client: httpx.AsyncClient, says: str, **fields: Any) -> list[httpx.Response]:
    """Ask for a whole and for a streamed reply, at the same time."""
    return await asyncio.gather(*(ask(client, says, stream=stream, **fields) for stream in (False, True)))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_before_the_first_token(
    case: Case, client: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    """A failure before the first token is a status, a code and a text, streamed or not."""
    for response in await _both(client, case.says):
        error = _error(response)
        assert (case.status, case.code) == (response.status_code, error["code"])
        assert case.text in error["message"]

    if case.tries is not None:
        assert 2 * case.tries == len(upstream.requests)


async def test_time_to_the_reset(client: httpx.AsyncClient) -> None:
    """If the plan is used up, Retry-After is the time until its reset."""
    response = await ask(client, "[[limit]]")

    assert 3_500 < int(response.headers["retry-after"]) <= 3_601


async def test_unknown_model(client: httpx.AsyncClient, upstream: ScriptedUpstream) -> None:
    """An unknown model is not found, without a request to the provider."""
    for response in await _both(client, "hi", model="gpt-nothing"):
        error = _error(response)
        assert (response.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")

    assert upstream.requests == []


BREAKS = {
    "dropped": (Drop(after=3), "upstream_error"),
    "error event": (ErrorEvent(after=3), "overloaded"),
}


@pytest.mark.parametrize(("answer", "code"), BREAKS.values(), ids=BREAKS.keys())
async def test_stream_that_breaks(
    answer: Any, code: str, client: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    """A broken stream has the text that came, then an error event and a proper end; nothing is repeated."""
    upstream.script(answer)
    response = await ask(client, "tell me", stream=True)

    assert response.status_code == 200
    assert streamed_text(response).split() == ["w0", "w1", "w2"]
    assert chunks(response)[-1]["error"]["code"] == code
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(("answer", "code"), BREAKS.values(), ids=BREAKS.keys())
async def test_whole_reply_that_breaks(
    answer: Any, code: str, client: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    """A whole reply that breaks is asked for again; if it always does, the client gets a status, not half."""
    upstream.script(answer)
    again = await ask(client, "tell me")
    upstream.answer_with(lambda _: answer)
    response = await ask(client, "tell me")

    assert again.json()["choices"][0]["message"]["content"] == "You said: tell me"
    assert _error(response)["code"] == code
    assert response.status_code == (503 if code == "overloaded" else 502)


FAULTS = {"overloaded": (fault(529), False), "server error": (fault(500), True), "dropped": (Drop(), True)}


@pytest.mark.parametrize(("answer", "stream"), FAULTS.values(), ids=FAULTS.keys())
async def test_short_fault(
    answer: Any, stream: bool, client: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    """A temporary fault is not visible to the client."""
    upstream.script(answer)
    response = await ask(client, "hello", stream=stream)

    assert response.status_code == 200
    text = streamed_text(response) if stream else response.json()["choices"][0]["message"]["content"]
    assert text == "You said: hello"
    assert len(upstream.requests) == 2


STOPS = {"length": "[[max_tokens]] [[say only so]]", "content_filter": "[[refuse]]"}


@pytest.mark.parametrize(("reason", "says"), STOPS.items(), ids=STOPS.keys())
async def test_stopped_early(
    reason: str, says: str, client: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    """A reply that is cut off by its limit, or refused, ends with that; nothing more is asked or billed."""
    whole, streamed = await _both(client, says, max_tokens=2)
    await asyncio.sleep(1.0)

    assert whole.json()["choices"][0]["finish_reason"] == reason
    choices = [choice for chunk in chunks(streamed) for choice in chunk["choices"]]
    assert [choice["finish_reason"] for choice in choices if choice["finish_reason"]] == [reason]
    assert len(upstream.requests) == 2


async def test_goes_on_after_an_error(client: httpx.AsyncClient, upstream: ScriptedUpstream) -> None:
    """A failure leaves no trace: the same question, asked again, is answered as if for the first time."""
    upstream.answer_with(lambda _: fault(400, "not now"))
    first = await ask(client, "do it")
    upstream.answer_with(None)
    second = await ask(client, "do it")

    assert [first.status_code, second.status_code] == [400, 200]
    assert seen(upstream, 0) == seen(upstream, -1)


async def test_not_logged_in(start_proxy: StartProxy, upstream: ScriptedUpstream, cli: str) -> None:
    """Without a login the client, /health and the terminal say what to run, and nothing goes upstream."""
    told = f"{cli} auth login"
    proxy = await start_proxy(environment={"ANTHROPIC_BASE_URL": upstream.url}, warm=0)
    async with proxy.client() as client:
        responses = await _both(client, "hi")

    for response in responses:
        error = _error(response)
        assert (response.status_code, error["code"]) == (401, "not_logged_in")
        assert error["message"] == f"Not logged in. Run: {told}"
    assert upstream.requests == []
    health = await proxy.health()
    assert health["status"] == "degraded"
    assert health["problem"].endswith(f"Not logged in. Run: {told}")
    assert await until(lambda: any(f"Not logged in. Run: {told}" in line for line in proxy.printed), 30)


async def test_silence(start_proxy: StartProxy, upstream: ScriptedUpstream) -> None:
    """A provider that goes silent is given up after the time that the configuration says."""
    proxy = await start_proxy(first_event_timeout=2.0, stall_timeout=1.0, retries=0)
    async with proxy.client() as client, asyncio.timeout(20):
        at_first, later = await asyncio.gather(_both(client, "[[hang]]"), _both(client, "[[hang 3]]"))

    for response in (*at_first, later[0]):
        assert response.status_code == 504
        assert _error(response)["code"] == "upstream_timeout"
    assert streamed_text(later[1]).split() == ["w0", "w1", "w2"]
    assert chunks(later[1])[-1]["error"]["code"] == "upstream_timeout"
    await upstream.idle()
    assert [request.disconnected for request in upstream.requests] == [True] * 4


def _error(response: httpx.Response) -> dict[str, Any]:
    assert response.headers["content-type"].startswith("application/json"), response.text
    error = response.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    return error
