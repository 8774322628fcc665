"""Several answers to one request: asked for a few at a time, merged, and ended together."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from claude_max_proxy import Failed, Finished, PartStarted, Started, Usage, complete_part
from claude_max_proxy.errors import InvalidKey, Overloaded
from claude_max_proxy.server.alternatives import AT_ONCE
from tests.end_to_end.running import until
from tests.scripted import SILENCE
from tests.server.conftest import Serve, Served
from tests.server.exchange import Exchange, chat, running
from tests.server.test_routes import CHAT, error_of


COUNTS = """
from claude_max_proxy import PartDelta, hookimpl

seen = []

@hookimpl
async def rewrite_request(request):
    request.messages.append(request.messages[0])
    request.answer_headers["x-seen"] = str(len(request.messages))
    seen.append((request.id, len(request.messages)))

@hookimpl
def wrap_events(request, events):
    return numbered(events, len(seen))

async def numbered(events, number):
    async for event in events:
        yield PartDelta(event.index, f"{event.text} {number}") if isinstance(event, PartDelta) else event
"""


async def test_whole(serve: Serve) -> None:
    """Each answer is a choice of its own, and the numbers of tokens are those of all of them."""
    served = await serve(sources={"counts": COUNTS})
    answer = await served.http.post("/v1/chat/completions", json={**CHAT, "n": 3})
    choices = answer.json()["choices"]
    assert [choice["index"] for choice in choices] == [0, 1, 2]
    assert {choice["message"]["content"] for choice in choices} == {"Hello! 1", "Hello! 2", "Hello! 3"}
    assert answer.json()["usage"]["total_tokens"] == 3 * 5
    assert served.backend.closed == 3


async def test_each_is_a_request_of_its_own(serve: Serve) -> None:
    """What a plugin changes in one request changes no other; each has its own id, and one its headers."""
    served = await serve(sources={"counts": COUNTS})
    answer = await served.http.post("/v1/chat/completions", json={**CHAT, "n": 3})
    name = answer.headers["x-request-id"]
    asked = {request.id: len(request.messages) for request, _ in served.backend.asked}
    assert asked == {name: 2, f"{name}-2": 2, f"{name}-3": 2}
    assert answer.headers["x-seen"] == "2"


async def test_each_has_its_own_seed(served: Served) -> None:
    """With a seed, each answer has another one, or all of them would be the same."""
    served.backend.honours = {"seed"}
    await served.http.post("/v1/chat/completions", json={**CHAT, "n": 3, "seed": 7})
    assert sorted(request.extra["seed"] for request, _ in served.backend.asked) == [7, 8, 9]


async def test_a_stream(served: Served) -> None:
    """In a stream, every choice is whole, in its order; the usage comes once, and so does the end."""
    served.backend.script[1:4] = complete_part(PartStarted(0, "text"), *"Hello")
    exchange = Exchange(chat(n=3, stream_options={"include_usage": True}))
    await exchange.run(served.application)
    assert exchange.complete
    *chunks, last = exchange.chunks
    assert (last["choices"], last["usage"]["completion_tokens"]) == ([], 3 * 2)
    for index in range(3):
        mine = [one["choices"][0] for one in chunks if one["choices"][0]["index"] == index]
        assert mine[0]["delta"] == {"role": "assistant", "content": ""}
        assert "".join(one["delta"].get("content", "") for one in mine) == "Hello"
        assert [one["finish_reason"] for one in mine] == [None] * (len(mine) - 1) + ["stop"]
    assert exchange.body.count(b"[DONE]") == 1


async def test_some_at_a_time(served: Served) -> None:
    """However many are wanted, only a few are made at once, and all of them come."""
    atonce: Counter[str] = Counter()

    async def step() -> None:
        atonce["now"] += 1
        atonce["most"] = max(atonce["most"], atonce["now"])
        await asyncio.sleep(0.001)
        atonce["now"] -= 1

    served.backend.script.insert(1, step)
    answer = await served.http.post("/v1/chat/completions", json={**CHAT, "n": 128})
    assert len(answer.json()["choices"]) == len(served.backend.asked) == 128
    assert atonce["most"] == AT_ONCE


@pytest.mark.parametrize("stream", [True, False])
async def test_an_early_failure(served: Served, *, stream: bool) -> None:
    """If one answer fails before any has begun, the request fails with its status, and nothing is left."""
    served.backend.script = [Failed(Overloaded("too much", retry_after=7))]
    answer = await served.http.post("/v1/chat/completions", json={**CHAT, "n": 6, "stream": stream})
    assert (answer.status_code, answer.headers["retry-after"]) == (Overloaded.status, "7")
    assert error_of(answer)["message"] == "too much"
    assert served.backend.closed == len(served.backend.asked)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_late_failure_ends_all(served: Served, *, stream: bool) -> None:
    """If one answer fails while others are being made, those are ended."""
    number = 0

    async def step() -> None:
        nonlocal number
        number += 1
        if number == 3:
            raise Overloaded("too much")
        await asyncio.sleep(SILENCE)

    served.backend.script.insert(1, step)
    answer = await served.http.post("/v1/chat/completions", json={**CHAT, "n": 3, "stream": stream})
    assert "too much" in answer.text
    assert "[DONE]" in answer.text or answer.status_code == Overloaded.status
    assert served.backend.closed == 3


async def test_a_bug_ends_all(served: Served) -> None:
    """If a backend raises what it must not, the other answers do not wait for it for ever."""
    served.backend.script = [Started("m"), SystemExit(1)]
    answer = await served.http.post("/v1/chat/completions", json={**CHAT, "n": 2})
    assert answer.status_code == 500


@pytest.mark.parametrize("stream", [True, False])
async def test_the_client_leaves(served: Served, *, stream: bool) -> None:
    """If the client leaves, all answers are cancelled, and none is begun after that."""
    served.backend.script.insert(1, SILENCE)
    exchange = Exchange(chat(n=9, stream=stream))
    async with running(served.application, exchange) as task:
        assert await until(lambda: len(served.backend.asked) == AT_ONCE)
        exchange.leave()
        await task
    assert (len(served.backend.asked), served.backend.closed) == (AT_ONCE, AT_ONCE)


RECORDS = """
from claude_max_proxy import hookimpl

records = []

@hookimpl
def log_request(record):
    records.append(record)
"""


async def test_a_key_is_revoked(serve: Serve) -> None:
    """If the client's key is revoked, the records of all answers say so."""
    served = await serve(server={"api_keys": {"me": "secret-secret-secret"}}, sources={"records": RECORDS})
    served.backend.script.insert(0, SILENCE)
    exchange = Exchange(chat(n=3), authorization="Bearer secret-secret-secret")
    async with running(served.application, exchange) as task:
        assert await until(lambda: len(served.backend.asked) == 3)
        assert served.application.running.keep_only(["nobody"]) == 1
        await task
    assert exchange.status == InvalidKey.status
    records: list[Any] = records_of(served)
    assert {record.status for record in records} == {InvalidKey.status}
    assert len({record.id for record in records}) == 3


def records_of(served: Served) -> list[Any]:
    """Return the records that the plugin above has seen."""
    found: list[Any] = next(one.module.records for one in served.runtime.plugins if one.name == "records")
    return found


async def test_each_answer_counts(serve: Serve) -> None:
    """For a key's limit, each answer is a request."""
    key = {"key": "secret-secret-secret", "requests_per_minute": 5}
    served = await serve(server={"api_keys": {"me": key}})
    headers = {"authorization": "Bearer secret-secret-secret"}
    statuses = [
        (await served.http.post("/v1/chat/completions", json={**CHAT, "n": 3}, headers=headers)).status_code
        for _ in range(2)
    ]
    assert statuses == [200, 429]
    assert len(served.backend.asked) == 3


async def test_silence_is_kept_alive(serve: Serve) -> None:
    """While none of the answers says anything, the stream is kept alive."""
    served = await serve(server={"keep_alive": 0.05})
    served.backend.script = [Started("m"), 0.3, Usage(1, 1), Finished("stop")]
    exchange = Exchange(chat(n=2))
    await exchange.run(served.application)
    assert sum(one["choices"][0]["delta"] == {} for one in exchange.chunks) > 2
