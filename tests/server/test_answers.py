"""Sending answers: holding them back, streaming, keeping alive, and cancelling with the client."""

from __future__ import annotations

import asyncio

import pytest

from claude_max_proxy import (
    Failed,
    Finished,
    InvalidRequest,
    PartDelta,
    PartStarted,
    RateLimited,
    Started,
    UsageLimitReached,
    complete_part,
)
from claude_max_proxy.errors import NotLoggedIn, Overloaded
from tests.scripted import SILENCE
from tests.server.conftest import Serve, Served
from tests.server.exchange import Exchange, chat, running
from tests.server.test_routes import CHAT, error_of


async def test_a_stream(served: Served) -> None:
    """A streamed answer has a stream's headers and ends properly."""
    exchange = Exchange(chat())
    await exchange.run(served.application)
    assert (exchange.status, exchange.complete, exchange.text) == (200, True, "Hello!")
    assert exchange.headers["content-type"].startswith("text/event-stream")
    assert exchange.headers["cache-control"] == "no-cache"
    assert exchange.headers["x-request-id"]
    assert "content-length" not in exchange.headers
    assert served.backend.closed == 1


async def test_what_is_ready_leaves_together(served: Served) -> None:
    """Events that are ready at once are sent in few writes, none of them empty but the last."""
    deltas = [PartDelta(0, str(number)) for number in range(1000)]
    served.backend.script[2:3] = deltas
    exchange = Exchange(chat())
    await exchange.run(served.application)
    assert exchange.text == "".join(str(number) for number in range(1000))
    assert len(exchange.writes) <= 3
    assert all(exchange.writes[:-1])


async def test_an_event_is_not_kept_back(served: Served) -> None:
    """Events that have come are sent, although more will follow."""
    served.backend.script[3:3] = [SILENCE]
    exchange = Exchange(chat())
    async with running(served.application, exchange):
        await exchange.hears(b"Hello!")
        assert not exchange.complete


@pytest.mark.parametrize("raised", [True, False])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("error", "retry_after"),
    [
        (Overloaded("too much", retry_after=7), "7"),
        (RateLimited("slowly"), None),
        (NotLoggedIn("log in"), None),
        (InvalidRequest("messages: no", param="messages"), None),
    ],
)
async def test_an_early_failure_is_a_status(
    served: Served,
    error: Overloaded,
    retry_after: str | None,
    stream: bool,
    raised: bool,
) -> None:
    """A failure before the first event is a status and an envelope, with the time to wait."""
    served.backend.script = [error if raised else Failed(error)]
    response = await served.http.post("/v1/chat/completions", json={**CHAT, "stream": stream})
    assert response.status_code == error.status
    assert response.headers.get("retry-after") == retry_after
    assert error_of(response)["message"] == error.message
    assert served.backend.closed == 1


@pytest.mark.parametrize(
    ("error", "header"), [(UsageLimitReached("used up"), "false"), (RateLimited("slow"), None)]
)
async def test_whether_to_try_again(served: Served, error: RateLimited, header: str | None) -> None:
    """A client is told not to try again if that cannot succeed soon."""
    served.backend.script = [error]
    response = await served.http.post("/v1/chat/completions", json=CHAT)
    assert response.headers.get("x-should-retry") == header


@pytest.mark.parametrize("stream", [True, False])
async def test_an_unknown_model(served: Served, stream: bool) -> None:
    """An unknown model is a 404, streamed or not."""
    response = await served.http.post(
        "/v1/chat/completions", json={**CHAT, "model": "gpt-4o", "stream": stream}
    )
    assert response.status_code == 404
    assert error_of(response)["code"] == "model_not_found"


@pytest.mark.parametrize("stream", [True, False])
async def test_a_bug(served: Served, stream: bool) -> None:
    """A bug is a 500 that shows the client nothing of the exception."""
    served.backend.script = [KeyError("secret")]
    response = await served.http.post("/v1/chat/completions", json={**CHAT, "stream": stream})
    assert response.status_code == 500
    assert "secret" not in error_of(response)["message"]


async def test_a_late_failure(served: Served) -> None:
    """A failure after the first event is the stream's last event, and not a complete answer."""
    served.backend.script[3:] = [0.01, Overloaded("too much")]
    exchange = Exchange(chat())
    await exchange.run(served.application)
    assert (exchange.status, exchange.complete) == (200, True)
    *chunks, last = exchange.chunks
    assert last["error"]["code"] == "overloaded"
    assert not [choice for chunk in chunks for choice in chunk["choices"] if choice["finish_reason"]]


async def test_a_late_failure_of_a_whole_answer(served: Served) -> None:
    """A whole answer that fails before its end is a status."""
    served.backend.script[3:] = [Overloaded("too much")]
    assert (await served.http.post("/v1/chat/completions", json=CHAT)).status_code == 503


async def test_the_head_waits_for_the_first_event(served: Served) -> None:
    """Nothing is sent until there is something to send."""
    served.backend.script[:0] = [0.05]
    exchange = Exchange(chat())
    async with running(served.application, exchange):
        await asyncio.sleep(0.02)
        assert exchange.status == 0
        await asyncio.wait_for(exchange.started.wait(), 5)


async def test_the_head_does_not_wait_for_ever(serve: Serve) -> None:
    """After ``hold`` the head is sent with a keep-alive; a failure after that is an event."""
    served = await serve(server={"hold": 0.02, "keep_alive": 10})
    served.backend.script = [0.05, Overloaded("too much")]
    exchange = Exchange(chat())
    await exchange.run(served.application)
    assert exchange.status == 200
    alive, error = exchange.chunks
    assert alive["choices"][0]["delta"] == {}
    assert error["error"]["code"] == "overloaded"


async def test_silence_is_filled(serve: Serve) -> None:
    """While the model is silent, chunks with an empty delta are sent; the answer is the same."""
    served = await serve(server={"keep_alive": 0.05})
    served.backend.script[3:3] = [0.3]
    exchange = Exchange(chat())
    await exchange.run(served.application)
    deltas = [chunk["choices"][0]["delta"] for chunk in exchange.chunks]
    assert exchange.text == "Hello!"
    assert 2 <= deltas[2:-1].count({}) <= 6


async def test_what_was_ignored_is_told(served: Served) -> None:
    """Ignored parameters are named in a header, streamed or not; others are not mentioned."""
    for stream in (True, False):
        response = await served.http.post(
            "/v1/chat/completions", json={**CHAT, "stream": stream, "seed": 1, "verbosity": "low"}
        )
        assert response.headers["x-proxy-ignored"] == "seed, verbosity"
    response = await served.http.post("/v1/chat/completions", json=CHAT)
    assert "x-proxy-ignored" not in response.headers


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("after", [0, 3])
async def test_a_client_that_leaves(served: Served, stream: bool, after: int) -> None:
    """A client that disconnects ends the backend's work at once, whatever was sent."""
    served.backend.script[after:after] = [SILENCE]
    exchange = Exchange(chat(stream=stream))
    async with running(served.application, exchange) as task:
        await asyncio.sleep(0.02)
        assert (len(served.backend.asked), served.backend.closed) == (1, 0)
        exchange.leave()
        await asyncio.wait_for(task, 1)
    assert served.backend.closed == 1
    assert not exchange.complete


async def test_a_client_that_leaves_while_it_does_not_read(served: Served) -> None:
    """A client that disconnects without reading ends the backend's work, too."""
    served.backend.script[2:3] = [PartDelta(0, "x" * 100_000)] * 100
    exchange = Exchange(chat())
    exchange.reading.clear()
    async with running(served.application, exchange) as task:
        await asyncio.sleep(0.02)
        exchange.leave()
        await asyncio.wait_for(task, 1)
    assert served.backend.closed == 1


async def test_a_slow_client_holds_the_model_back(served: Served) -> None:
    """Up to a bound, what a client does not read is buffered; then no more is asked of the backend."""
    pieces = 400
    served.backend.script = [
        Started("m"),
        *complete_part(PartStarted(0, "text"), *["x" * 10_000] * pieces),
        Finished("stop"),
    ]
    exchange = Exchange(chat())
    exchange.reading.clear()
    async with running(served.application, exchange) as task:
        await asyncio.sleep(0.05)
        assert 50 <= served.backend.given <= 250
        exchange.reading.set()
        await asyncio.wait_for(task, 5)
    assert len(exchange.text) == pieces * 10_000


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_that_breaks_the_grammar(served: Served, stream: bool) -> None:
    """If a backend yields something that is no event, that is a bug, and never looks like an answer."""
    served.backend.script[3:3] = ["no event"]
    exchange = Exchange(chat(stream=stream))
    await exchange.run(served.application)
    assert b'"internal_error"' in exchange.body
    assert b'"finish_reason":"' not in exchange.body
    assert served.backend.closed == 1


async def test_clients_side_by_side(served: Served) -> None:
    """An answer that waits does not delay others."""
    served.backend.script[1:1] = [0.05]
    exchanges = [Exchange(chat()) for _ in range(20)]
    async with asyncio.timeout(2):
        await asyncio.gather(*(exchange.run(served.application) for exchange in exchanges))
    assert {exchange.text for exchange in exchanges} == {"Hello!"}
    assert len({exchange.headers["x-request-id"] for exchange in exchanges}) == 20
