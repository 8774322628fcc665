"""The hook ``log_request``: every plugin gets every record, whatever happens to the request meanwhile."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest

from claude_max_proxy import Record, hookimpl
from tests.scripted import question, scripted_gateway


class Slow:
    """A plugin that takes its time, as one that writes to a database may."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.may = asyncio.Event()
        self.heard: list[str] = []

    @hookimpl(tryfirst=True)
    async def log_request(self, record: Record) -> None:
        """Note the record when it may."""
        self.begun.set()
        await self.may.wait()
        self.heard.append(record.ending)


class After:
    """A plugin that is called after it."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    @hookimpl(trylast=True)
    def log_request(self, record: Record) -> None:
        """Note the record."""
        self.heard.append(record.ending)


@pytest.mark.parametrize("whole", [True, False])
async def test_a_cancelled_request(tmp_path: Path, whole: bool) -> None:
    """A request that is cancelled while the first plugin has its record reaches all of them nevertheless."""
    slow, after = Slow(), After()
    gateway, _ = scripted_gateway(tmp_path, slow, after)

    async def ask() -> None:
        async with aclosing(gateway.answer(question(stream=True), "test")) as events:
            async for _ in events:
                if not whole:
                    break

    task = asyncio.get_running_loop().create_task(ask())
    await slow.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (slow.heard, after.heard) == ([], [])
    slow.may.set()
    await gateway._plugins.shutdown()
    expected = ["completed" if whole else "left"]
    assert (slow.heard, after.heard) == (expected, expected)


async def test_a_plugin_that_never_ends(tmp_path: Path) -> None:
    """A plugin that takes longer than its limit keeps the record from nobody, and no end from coming."""
    slow, after = Slow(), After()
    gateway, _ = scripted_gateway(tmp_path, slow, after, table={"plugins": {"slow": {"timeout": 0.2}}})
    async for _ in gateway.answer(question(), "test"):
        pass
    assert after.heard == ["completed"]
    await gateway._plugins.shutdown()
