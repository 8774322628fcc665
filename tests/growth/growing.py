"""How much longer four times as much takes."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

import pytest


LARGER = 4
MOST = 9.0  # of the larger one's time; in proportion it is 4, quadratic 16
LEAST_SECONDS = 0.02  # work that takes less is not judged: it is quick enough, however it grows
ROUNDS = (
    3  # quadratic work is slow in each of them, and a small body in a moment of warm caches is quick in one
)
SAMPLES = 7  # the least of fewer is now and then that of a moment in which other programs had the caches


def seconds(work: Callable[[], Any]) -> float:
    """Return the least CPU time that the work takes in several tries."""
    least = float("inf")
    for _ in range(SAMPLES):
        began = time.thread_time()
        work()
        least = min(least, time.thread_time() - began)
    return least


def holds(make: Callable[[int], Callable[[], Any]], size: int) -> None:
    """Fail if four times as much input takes more than nine times as long."""
    small, large = make(size), make(size * LARGER)
    for _ in range(ROUNDS):
        ratio = grown(small, large)
        if ratio < MOST:
            return
    pytest.fail(f"{size * LARGER} take {ratio:.1f} times as long as {size}")


def grown(small: Callable[[], Any], large: Callable[[], Any]) -> float:
    """Return how many times as long the larger work takes, or 0 if it is quick enough however it grows."""
    gc.collect()
    gc.disable()  # the garbage collector's work grows with the number of the test's objects
    try:
        taken = seconds(large)
        return taken / seconds(small) if taken > LEAST_SECONDS else 0.0
    finally:
        gc.enable()


def chat(*messages: Any, **fields: Any) -> dict[str, Any]:
    """Return a chat completion's body."""
    return {"model": "m", "messages": [{"role": "user", "content": "q"}, *messages], **fields}


def anthropic(*messages: Any, **fields: Any) -> dict[str, Any]:
    """Return a message's body."""
    return {
        "model": "m",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "q"}, *messages],
        **fields,
    }


def responses(*items: Any, **fields: Any) -> dict[str, Any]:
    """Return a response's body."""
    return {"model": "m", "input": [{"role": "user", "content": "q"}, *items], "store": False, **fields}
