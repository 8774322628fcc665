"""Work on large requests: on a thread, few at a time, while small ones cost nothing."""

from __future__ import annotations

import asyncio
import threading
import time
from functools import partial
from typing import Any

import msgspec
import pytest

from claude_max_proxy import Message, Request, Text, aside, is_large


LOOP = threading.main_thread().name
DIALECT = '''
"""A dialect whose every answer is an error that says which thread read the request."""

import threading

import claude_max_proxy as proxy
from claude_max_proxy.dialect import Dialect


class Telling(Dialect):
    name = "telling"
    routes = ("/v1/telling",)

    def open(self, body):
        raise proxy.InvalidRequest(f"read on {threading.current_thread().name}")

    def error(self, error):
        return error.message.encode()


@proxy.hookimpl
def register_dialects(register):
    register(Telling())
'''


def name() -> str:
    """Return the thread on which this runs."""
    return threading.current_thread().name


async def test_where_it_runs() -> None:
    """Small work is done at once on the event loop; large work on another thread."""
    assert await aside(name, large=False) == LOOP
    assert await aside(name, large=True) != LOOP


async def test_what_it_raises() -> None:
    """An exception of the work is raised, wherever the work has run."""
    for large in (False, True):
        with pytest.raises(ValueError, match="odd"):
            await aside(partial(int, "odd"), large=large)


async def test_few_at_a_time() -> None:
    """Two run at a time, and the loop continues meanwhile, also when a client disconnects."""
    running, most = 0, 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal running, most
        with lock:
            running, most = running + 1, max(most, running + 1)
        time.sleep(0.02)  # noqa: TID251  # on a thread of its own
        with lock:
            running -= 1

    tasks = [asyncio.get_running_loop().create_task(aside(work, large=True)) for _ in range(8)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    async with asyncio.timeout(10):
        await asyncio.wait(tasks)
    assert 1 <= most <= 3  # the cancelled one ends by itself


def test_what_is_large() -> None:
    """A request is large if it has many messages or many parts."""
    text: Any = Text("t")
    assert not is_large(Request("m", messages=[Message("user", [text])] * 1000))
    assert is_large(Request("m", messages=[Message("user", [text])] * 1001))
    assert is_large(Request("m", messages=[Message("user", [text] * 1001)]))


@pytest.mark.parametrize(("size", "aside"), [(1000, False), (2_000_000, True)], ids=["small", "large"])
async def test_a_large_body_is_read_aside(serve: Any, size: int, aside: bool) -> None:
    """A body of more than a megabyte is not read on the event loop, whatever its dialect."""
    served = await serve(sources={"telling": DIALECT})
    answer = await served.http.post("/v1/telling", json={"x": "x" * size})
    assert answer.status_code == 400
    assert (answer.text != f"read on {LOOP}") is aside


async def test_others_are_served_while_a_large_body_is_read(serve: Any) -> None:
    """While a large body is read, the event loop turns many times, so other clients do not wait."""
    served = await serve()
    message = {"role": "user", "content": [{"type": "text", "text": "hello"}]}
    body = msgspec.json.encode({"model": "sonnet", "messages": [message] * 40_000})
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.001)
            turns += 1

    turning = asyncio.get_running_loop().create_task(turn())
    try:
        answer = await served.http.post(
            "/v1/chat/completions", content=body, headers={"content-type": "application/json"}
        )
    finally:
        turning.cancel()
    assert answer.status_code == 200
    assert turns >= 3
