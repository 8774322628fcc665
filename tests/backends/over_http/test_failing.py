"""Both backends over HTTP, through the whole proxy: failures, refusals and clients that leave."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import openai
import pytest

from claude_max_proxy.testing import (
    Drop,
    ErrorEvent,
    Hang,
    Reply,
    Text,
    fault,
)
from tests.backends.over_http.conftest import BOTH, TOOL, House


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
