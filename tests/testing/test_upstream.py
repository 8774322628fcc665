"""The scripted API over real sockets."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from claude_max_proxy.testing import (
    Answer,
    Drop,
    ErrorEvent,
    Fault,
    Hang,
    Reply,
    ScriptedUpstream,
    Text,
)


HEADERS = {"x-api-key": "sk-ant-dummy", "anthropic-version": "2023-06-01"}


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


def asking(text: str, *, stream: bool = True) -> dict[str, Any]:
    """Return a request whose only message is this text."""
    message = {"role": "user", "content": text}
    return {"model": "m", "stream": stream, "max_tokens": 9, "messages": [message]}


async def post(client: httpx.AsyncClient, text: str, *, stream: bool = True) -> httpx.Response:
    """Return the whole answer to this text."""
    return await client.post("/v1/messages?beta=true", json=asking(text, stream=stream))


async def read_into(heard: bytearray, response: httpx.Response) -> None:
    """Add the bytes of a streamed answer to `heard` as they come."""
    async for part in response.aiter_raw():
        heard += part


async def test_it_streams_and_records(upstream: ScriptedUpstream, client: httpx.AsyncClient) -> None:
    """A request is answered as a stream of events and recorded with everything that belongs to it."""
    before = time.monotonic()
    response = await post(client, "hello")
    assert response.headers["content-type"].startswith("text/event-stream")
    assert "said:" in response.text
    assert response.text.endswith('event: message_stop\ndata: {"type":"message_stop"}\n\n')
    request = upstream.requests[0]
    assert (request.method, request.path, request.query) == ("POST", "/v1/messages", "beta=true")
    assert request.headers["content-type"] == "application/json"
    assert request.body == asking("hello")
    assert request.size == len(response.request.content)
    assert before <= request.received_at <= time.monotonic()
    await upstream.idle()
    assert request.answered
    assert not request.disconnected


async def test_without_stream_it_answers_one_message(client: httpx.AsyncClient) -> None:
    """A request without stream gets one JSON message."""
    response = await post(client, "hello", stream=False)
    assert response.json()["content"] == [{"type": "text", "text": "You said: hello"}]


async def test_the_other_routes(upstream: ScriptedUpstream, client: httpx.AsyncClient) -> None:
    """The probe and the token count are answered; anything else is a 404 and is recorded."""
    assert (await client.head("/")).status_code == 200
    assert (await client.get("/")).status_code == 200
    counted = await client.post("/v1/messages/count_tokens", json=asking("hello"))
    assert counted.json()["input_tokens"] > 0
    assert upstream.others == []
    missing = await client.get("/v1/models")
    assert missing.status_code == 404
    assert missing.json()["error"]["type"] == "not_found_error"
    assert [(one.method, one.path) for one in upstream.others] == [("GET", "/v1/models")]
    assert upstream.requests == []


async def test_scripts_come_first_then_the_function_then_directives(
    upstream: ScriptedUpstream, client: httpx.AsyncClient
) -> None:
    """Queued answers are used in order before the function, which may return none."""

    def answer(body: dict[str, Any]) -> Answer | None:
        passed = body["messages"][0]["content"] == "pass"
        return None if passed else Reply((Text("function"),))

    upstream.script(Reply((Text("one"),)), Reply((Text("two"),)))
    upstream.answer_with(answer)
    texts = ["x", "x", "x", "pass"]
    answers = [(await post(client, text, stream=False)).json() for text in texts]
    heard = [one["content"][0]["text"] for one in answers]
    assert heard == ["one", "two", "function", "You said: pass"]
    upstream.answer_with(None)
    assert "You said: x" in (await post(client, "x", stream=False)).text


async def test_a_fault_has_the_envelope_of_the_api(client: httpx.AsyncClient) -> None:
    """An error is plain JSON with its type, message and a request id."""
    response = await post(client, "[[status 529 too much]]")
    assert response.status_code == 529
    body = response.json()
    assert body["type"] == "error"
    assert body["error"] == {"type": "overloaded_error", "message": "too much"}
    assert body["request_id"] == response.headers["request-id"]


async def test_a_limit_has_its_headers(client: httpx.AsyncClient) -> None:
    """The headers of a fault and of a reply are sent."""
    response = await post(client, "[[limit]]")
    assert response.status_code == 429
    assert response.headers["anthropic-ratelimit-unified-status"] == "rejected"


async def test_a_drop_before_the_answer(upstream: ScriptedUpstream, client: httpx.AsyncClient) -> None:
    """A drop closes the connection without a byte, and does not count as the client's."""
    with pytest.raises(httpx.RemoteProtocolError):
        await post(client, "[[drop]]")
    await upstream.idle()
    assert not upstream.requests[0].answered
    assert not upstream.requests[0].disconnected


@pytest.mark.parametrize("answer", [Drop(3), Drop(0)])
async def test_a_drop_after_some_deltas(
    upstream: ScriptedUpstream, client: httpx.AsyncClient, answer: Drop
) -> None:
    """A drop in the middle sends its deltas and no proper end."""
    upstream.script(answer)
    heard = bytearray()
    async with client.stream("POST", "/v1/messages", json=asking("x")) as response:
        with pytest.raises(httpx.RemoteProtocolError):
            await read_into(heard, response)
    assert heard.count(b"event: content_block_delta") == answer.after
    assert b"message_start" in heard
    assert b"message_stop" not in heard


async def test_an_error_event_ends_the_stream(upstream: ScriptedUpstream, client: httpx.AsyncClient) -> None:
    """An error in the middle is the last event of a proper response."""
    upstream.script(ErrorEvent(2))
    text = (await post(client, "x")).text
    assert text.count("event: content_block_delta") == 2
    assert text.split("event: ")[-1].startswith("error\n")
    assert "overloaded_error" in text


@pytest.mark.parametrize(
    ("answer", "status"),
    [(ErrorEvent(1), 529), (ErrorEvent(1, "api_error", "x"), 500), (Fault(401, "a", "b"), 401)],
)
async def test_without_stream_every_error_is_plain(
    upstream: ScriptedUpstream, client: httpx.AsyncClient, answer: Answer, status: int
) -> None:
    """A request without stream gets an error as an HTTP status."""
    upstream.script(answer)
    assert (await post(client, "x", stream=False)).status_code == status


@pytest.mark.parametrize(
    ("answer", "stream"),
    [
        (Hang(), True),
        (Hang(), False),
        (Hang(2), True),
        (Reply((Text("a b c"),), pace=60), True),
        (Reply((Text("a"),), delay=60), True),
        (Reply((Text("a"),), delay=60), False),
    ],
)
async def test_a_client_that_leaves_is_noticed(
    upstream: ScriptedUpstream, client: httpx.AsyncClient, answer: Answer, *, stream: bool
) -> None:
    """If a client disconnects during a hang, a pause or a delay, that is noticed at once."""
    upstream.script(answer)
    with pytest.raises(httpx.ReadTimeout):
        await client.post("/v1/messages", json=asking("x", stream=stream), timeout=0.1)
    await upstream.idle(1)
    assert upstream.requests[0].disconnected
    assert not upstream.requests[0].answered


async def test_a_client_that_leaves_a_fast_stream_is_noticed(
    upstream: ScriptedUpstream, client: httpx.AsyncClient
) -> None:
    """If a client disconnects in the middle of a long answer without pauses, that is noticed, too."""
    async with client.stream("POST", "/v1/messages", json=asking("[[deltas 200000]]")) as response:
        async for _ in response.aiter_raw():
            break
    await upstream.idle()
    assert upstream.requests[0].disconnected


async def test_pace_and_delay_take_their_time(client: httpx.AsyncClient) -> None:
    """A delay is before the first byte, and a pace between the deltas."""
    begun = time.monotonic()
    await post(client, "[[pace 0.05 4]]")
    assert 0.15 <= time.monotonic() - begun < 1
    begun = time.monotonic()
    async with client.stream("POST", "/v1/messages", json=asking("[[sleep 0.1]]")):
        assert 0.1 <= time.monotonic() - begun < 1


async def test_without_recording_it_only_counts() -> None:
    """Of a benchmark's requests only their number and size are recorded."""
    async with ScriptedUpstream(recording=False) as upstream:
        async with httpx.AsyncClient(base_url=upstream.url, headers=HEADERS, trust_env=False) as client:
            sizes = [len((await post(client, "x")).request.content) for _ in range(3)]
        assert upstream.requests == []
        assert (upstream.count, upstream.bytes_received) == (3, sum(sizes))


async def test_many_at_once(upstream: ScriptedUpstream, client: httpx.AsyncClient) -> None:
    """Requests are served at the same time; one that hangs does not delay others."""
    upstream.script(Hang())
    hanging = asyncio.get_running_loop().create_task(post(client, "x"))
    answers = await asyncio.gather(*(post(client, f"n{number}") for number in range(20)))
    assert all(answer.status_code == 200 for answer in answers)
    hanging.cancel()


async def test_a_large_request_arrives_whole(upstream: ScriptedUpstream, client: httpx.AsyncClient) -> None:
    """A body of megabytes is read to its end."""
    text = "x" * 3_000_000
    assert (await post(client, text)).status_code == 200
    assert upstream.requests[0].body["messages"][0]["content"] == text


async def test_what_is_not_a_request_of_the_api_gets_a_400(client: httpx.AsyncClient) -> None:
    """A body that is no JSON object with messages is refused in the API's way."""
    for content in (b"", b"[1]", b"{}", b"{"):
        response = await client.post("/v1/messages", content=content)
        assert response.status_code == 400


async def test_it_stops_quickly_with_open_streams() -> None:
    """Starting and stopping take almost no time, whatever is still open."""
    begun = time.monotonic()
    async with ScriptedUpstream() as upstream:
        assert time.monotonic() - begun < 0.1
        async with httpx.AsyncClient(base_url=upstream.url, headers=HEADERS, trust_env=False) as client:
            upstream.script(Hang(1), Hang(), Reply((Text("a b"),), pace=60))
            tasks = [asyncio.get_running_loop().create_task(post(client, "x")) for _ in range(3)]
            await asyncio.wait(tasks, timeout=0.2)
            assert upstream.count == 3
            begun = time.monotonic()
            await upstream.__aexit__(None, None, None)
            assert time.monotonic() - begun < 0.2
            heard = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(one, httpx.TransportError) for one in heard)


async def test_it_leaves_signal_handlers_alone() -> None:
    """Ctrl-C still has the handler that it had before."""
    before = signal.getsignal(signal.SIGINT)
    async with ScriptedUpstream():
        assert signal.getsignal(signal.SIGINT) is before


async def test_a_long_answer_is_cheap(client: httpx.AsyncClient) -> None:
    """Five thousand deltas take much less than a second, client included."""
    await post(client, "[[deltas 5000]]")
    begun = time.monotonic()
    response = await post(client, "[[deltas 5000]]")
    assert time.monotonic() - begun < 0.5
    assert response.text.count("event: content_block_delta") == 5000


async def test_the_environment_points_the_cli_here(upstream: ScriptedUpstream) -> None:
    """The variables contain this API's URL and a key that is not real."""
    environment = upstream.environment()
    assert environment["ANTHROPIC_BASE_URL"] == upstream.url
    assert environment["ANTHROPIC_API_KEY"] == "sk-ant-dummy"
