"""Background tasks with an owner."""

from __future__ import annotations

import asyncio
import errno
import logging
import os

import pytest

from claude_max_proxy import request_id
from claude_max_proxy.concurrency.tasks import Tasks


async def test_a_task_is_kept_until_it_is_done() -> None:
    """A task has the name that it was given and is forgotten when it is done."""
    tasks = Tasks()
    task = tasks.start(asyncio.sleep(0), "short")
    assert (task.get_name(), len(tasks)) == ("short", 1)
    await task
    await asyncio.sleep(0)
    assert len(tasks) == 0


async def test_a_failure_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """An exception that a task raises is logged with the task's name, although the task is never awaited."""

    async def fail() -> None:
        raise KeyError("oops")

    tasks = Tasks()
    tasks.start(fail(), "broken")
    await asyncio.sleep(0.01)
    assert "the task 'broken' failed" in caplog.text
    assert "oops" in caplog.text
    await tasks.close()


async def test_close_cancels(caplog: pytest.LogCaptureFixture) -> None:
    """Closing ends every task, lets each clean up, and is not logged as a failure."""
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
    """A task that refuses to be cancelled does not delay the closing."""
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


# --- tasks for good


@pytest.mark.parametrize(
    "how",
    [OSError(24, "Too many open files"), asyncio.CancelledError(), BaseException("own"), None],
    ids=lambda how: type(how).__name__,
)
async def test_a_task_for_good(how: BaseException | None, caplog: pytest.LogCaptureFixture) -> None:
    """A task that is to run forever is started again however it ends, and reported as a problem by name."""
    runs: list[int] = []
    forever = asyncio.Event()

    async def work() -> None:
        runs.append(1)
        if len(runs) < 3:
            await asyncio.sleep(0)
            if how is not None:
                raise how
            return
        await forever.wait()

    tasks = Tasks()
    task = tasks.keep(work, "watcher", pause=0.01)
    assert tasks.problems == {}
    async with asyncio.timeout(10):
        while len(runs) < 3:  # noqa: ASYNC110  # what is waited for has no event of its own
            await asyncio.sleep(0.01)
    assert "it ended 2 times and was started again; the last time: " in tasks.problems["watcher"]
    assert caplog.text.count("the task 'watcher' ended") == 2
    await tasks.close()
    assert task.cancelled()
    assert len(runs) == 3


async def test_a_problem_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that runs well again for a while is no longer reported as a problem."""
    runs: list[int] = []

    async def work() -> None:
        runs.append(1)
        if len(runs) == 1:
            raise OSError
        await asyncio.Event().wait()

    tasks = Tasks()
    tasks.keep(work, "watcher", pause=0.01)
    async with asyncio.timeout(10):
        while len(runs) < 2:  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.01)
    assert tasks.problems
    monkeypatch.setattr("claude_max_proxy.concurrency.tasks._WELL_AFTER", 0.0)
    assert tasks.problems == {}
    await tasks.close()


@pytest.mark.parametrize(("code", "told"), [(errno.EMFILE, False), (errno.EACCES, True)])
async def test_what_the_system_lacks(code: int, told: bool, caplog: pytest.LogCaptureFixture) -> None:
    """If a task ended because the system lacks resources, one line is logged; otherwise a traceback."""
    tasks = Tasks()

    async def work() -> None:
        raise OSError(code, os.strerror(code))

    tasks.keep(work, "watching")
    await asyncio.sleep(0.05)
    await tasks.close()
    assert [record.exc_info is not None for record in caplog.records] == [told]
    assert os.strerror(code) in caplog.text


async def test_what_lasts_belongs_to_no_request(caplog: pytest.LogCaptureFixture) -> None:
    """A task inherits the request's id, but not one that outlives the request, nor what is logged of it."""
    tasks, seen = Tasks(), []
    logged: list[str] = []

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logged.append(request_id.current())

    async def fail() -> None:
        seen.append(request_id.current())
        raise KeyError

    async def once() -> None:
        seen.append(request_id.current())
        await asyncio.sleep(60)

    async def serve() -> str:
        name = request_id.begin()
        tasks.start(fail(), "part")
        tasks.start(fail(), "lasting", lasting=True)
        tasks.keep(once, "permanent")
        await asyncio.sleep(0.01)
        return name

    listening = Listening()
    logging.getLogger().addHandler(listening)
    try:
        name = await asyncio.create_task(serve())  # noqa: TID251  # as a server does for each request
    finally:
        logging.getLogger().removeHandler(listening)
    assert seen == [name, "", ""] == [*logged, ""]
    await tasks.close()
