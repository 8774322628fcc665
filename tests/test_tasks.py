"""Background tasks with an owner."""

from __future__ import annotations

import asyncio

import pytest

from claude_max_proxy.tasks import Tasks


async def test_a_task_is_kept_until_it_is_done() -> None:
    """A task has the name it was given and is forgotten once it is done."""
    tasks = Tasks()
    task = tasks.start(asyncio.sleep(0), "short")
    assert (task.get_name(), len(tasks)) == ("short", 1)
    await task
    await asyncio.sleep(0)
    assert len(tasks) == 0


async def test_a_failure_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """What a task raises is logged under its name, although nobody awaits it."""

    async def fail() -> None:
        raise KeyError("oops")

    tasks = Tasks()
    tasks.start(fail(), "broken")
    await asyncio.sleep(0.01)
    assert "the task 'broken' failed" in caplog.text
    assert "oops" in caplog.text
    await tasks.close()


async def test_close_cancels(caplog: pytest.LogCaptureFixture) -> None:
    """Closing ends every task, lets each clean up, and is no failure."""
    cleaned = []

    async def work() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    tasks = Tasks()
    for number in range(3):
        tasks.start(work(), f"work-{number}")
    await asyncio.sleep(0)
    await tasks.close()
    assert (cleaned, len(tasks), caplog.text) == ([True] * 3, 0, "")


async def test_close_is_bounded() -> None:
    """A task that does not let itself be cancelled holds nobody up."""
    stubborn = True

    async def work() -> None:
        while stubborn:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                continue

    tasks = Tasks()
    task = tasks.start(work(), "stubborn")
    await asyncio.sleep(0)
    await tasks.close(within=0.01)
    assert not task.done()
    stubborn = False
    await tasks.close()
    assert task.done()


async def test_a_task_may_close_its_own() -> None:
    """A task that closes the set it is in does not wait for itself."""
    tasks = Tasks()
    await tasks.start(tasks.close(), "self")
    await tasks.close()
