"""What the pool does about processes that died, at rest, and in the end."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from claude_max_proxy import Client
from claude_max_proxy.backends.claude_cli import housekeeping
from claude_max_proxy.backends.claude_cli import memory as memory_module
from claude_max_proxy.backends.claude_cli.used_models import UsedModels
from tests.backends.claude_cli.pool.pooling import (
    HAIKU,
    OPUS,
    SONNET,
    FakeConversation,
    counts,
    pool,
    says,
    settled,
    started,
    wanted,
)
from tests.end_to_end.running import until


async def test_a_busy_one_that_died() -> None:
    """A process that ends by itself while it is used is counted and frees its place."""
    async with pool(max_processes=1) as (used, launch):
        await used.obtain(wanted(OPUS))
        waiting = started(used.obtain(wanted(OPUS, "you")))
        await settled()
        launch.processes[0].die()
        assert (await waiting).alive
        assert used.crashes == 1


async def test_one_that_was_killed_is_no_crash() -> None:
    """A process that we ended is not counted as one that ended by itself."""
    async with pool() as (used, _):
        (await used.obtain(wanted(OPUS))).kill()
        used.discard(await used.obtain(wanted(OPUS)))
        await settled()
        assert used.crashes == 0
        assert used.counts == counts()


async def test_the_model_used_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process for the model used last is warm from the start; after days without use, none is."""
    memory = UsedModels("claude", tmp_path)
    async with pool(memory, warm=1) as (used, launch):
        used.start()
        await settled()
        assert [process.kind for process in launch.processes] == [SONNET]
        used.refill(HAIKU)
        await settled()
    assert json.loads((tmp_path / "claude" / "used-models.json").read_text()).keys() == {"haiku"}
    async with pool(UsedModels("claude", tmp_path), warm=1) as (used, launch):
        used.start()
        await settled()
        assert [process.kind for process in launch.processes] == [HAIKU]
    now = time.time()
    monkeypatch.setattr("claude_max_proxy.backends.claude_cli.used_models.time.time", lambda: now + 4 * 86400)
    async with pool(UsedModels("claude", tmp_path), warm=1) as (used, launch):
        used.start()
        await settled()
        assert launch.processes == []


async def test_at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while without requests one process is left, the one used last, and it is stopped."""
    monkeypatch.setattr(housekeeping, "_INTERVAL", 0.01)
    monkeypatch.setattr(housekeeping, "_PAUSED_AFTER", 0.05)
    async with pool(warm=1, rest_timeout=0.2) as (used, launch):
        used.start()
        for number, kind in enumerate([OPUS, HAIKU, HAIKU]):
            asked = await used.obtain(wanted(kind, root=bytes([number])))
            used.refill(kind)
            used.park(FakeConversation(asked), Client(), says(True))
        assert await until(lambda: launch.most == 1 and launch.paused)
        assert used.counts == counts(parked=1)
        assert launch.paused == [process for process in launch.processes if process.alive]
        assert launch.paused[0].kind == HAIKU


async def test_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the memory that all may use together none is started, and idle ones end."""
    monkeypatch.setattr(housekeeping, "_INTERVAL", 0.01)
    measured: list[int] = []
    monkeypatch.setattr(
        memory_module, "proportional_memory", lambda pid: measured.append(pid) or 300 * 1024**2
    )
    monkeypatch.setattr(memory_module, "tree", lambda pid: [pid])
    async with pool(max_memory="1GB", warm_models=["opus"]) as (used, launch):
        used.start()
        asked = [await used.obtain(wanted(OPUS, root=bytes([number]))) for number in range(3)]
        measured.clear()
        assert await until(lambda: len(measured) >= 2 * len(asked))  # all of them, in one round
        waiting = started(used.obtain(wanted(OPUS, root=b"4")))
        await settled()
        assert used.counts == counts(busy=3, queued=1)
        used.park(FakeConversation(asked[0]), Client())
        assert (await waiting) is launch.processes[3]
        monkeypatch.setattr(memory_module, "proportional_memory", lambda _: 400 * 1024**2)
        used.park(FakeConversation(asked[1]), Client())
        assert await until(lambda: launch.most == 2)


async def test_the_end() -> None:
    """Stopping ends every process, whatever it does, and leaves no request waiting."""
    async with pool(max_processes=2, warm_models=["opus"], warm=1) as (used, launch):
        used.start()
        await settled()
        await used.obtain(wanted(HAIKU, "me"))
        conversation = FakeConversation(await used.obtain(wanted(OPUS)))
        used.park(conversation, Client())
        launch.delay = 30
        waiting = started(used.obtain(wanted(SONNET, "you")))
        await settled()
        await used.stop()
        assert launch.most == 0
        waiting.cancel()
        await asyncio.wait({waiting}, timeout=1)
        assert waiting.done()
