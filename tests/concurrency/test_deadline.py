"""Deadlines: every wait has its own bound, and cancellations from elsewhere are not swallowed."""

from __future__ import annotations

import asyncio

import pytest

from claude_max_proxy.concurrency.deadline import Deadline


async def test_each_wait_is_bounded_by_itself() -> None:
    """Many waits, each of which is short enough, may together last longer than the bound."""
    deadline = Deadline(0.1)
    for _ in range(6):
        with deadline:
            await asyncio.sleep(0.04)
    with pytest.raises(TimeoutError), deadline:
        await asyncio.sleep(5)
    with deadline:
        await asyncio.sleep(0.01)
    deadline.close()


async def test_time_between_waits_does_not_count() -> None:
    """Only the waits are bounded, not what is done in between."""
    deadline = Deadline(0.03)
    with deadline:
        await asyncio.sleep(0)
    await asyncio.sleep(0.1)
    with deadline:
        await asyncio.sleep(0)
    deadline.close()


async def test_the_task_lives_on() -> None:
    """After a deadline the task is not cancelled, and has no pending request to be."""
    deadline = Deadline(0.01)
    with pytest.raises(TimeoutError), deadline:
        await asyncio.sleep(5)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)


async def test_a_cancelled_task() -> None:
    """If a task is cancelled from outside, it stays cancelled, even if the deadline passes in that moment."""
    for passed in (False, True):
        deadline = Deadline(5)
        task = asyncio.get_running_loop().create_task(_wait(deadline))
        await asyncio.sleep(0)
        if passed:
            deadline._due = 0.0
            deadline._check(asyncio.get_running_loop())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        deadline.close()


async def _wait(deadline: Deadline) -> None:
    with deadline:
        await asyncio.sleep(5)


async def test_a_bound_around_it() -> None:
    """A shorter timeout around it still raises its own exception."""
    deadline = Deadline(5)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(_wait(deadline), 0.01)
    deadline.close()
