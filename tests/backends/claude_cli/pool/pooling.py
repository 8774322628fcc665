"""A pool of processes that are no processes."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from claude_max_proxy import Client
from claude_max_proxy.backends.claude_cli.choice import Wanted
from claude_max_proxy.backends.claude_cli.fingerprint import Bound
from claude_max_proxy.backends.claude_cli.pool import Pool
from claude_max_proxy.backends.claude_cli.process_kind import ProcessKind
from claude_max_proxy.backends.claude_cli.rehearsal import Rehearsal
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings
from claude_max_proxy.backends.claude_cli.used_models import UsedModels
from claude_max_proxy.backends.claude_cli.wear import Wear
from claude_max_proxy.errors import BackendUnavailable
from tests.backends.claude_cli.test_transcript import message, transcript


OPUS, SONNET, HAIKU = ProcessKind("opus"), ProcessKind("sonnet"), ProcessKind("haiku")
_pids = itertools.count(1)


class FakeProcess:
    """A process that ends when it is told to, ``linger`` seconds later."""

    def __init__(self, kind: ProcessKind, on_exit: Callable[[Any], None], linger: float) -> None:
        self.kind = kind
        self.pid = next(_pids)
        self.alive = True
        self.killed = False
        self.paused = False
        self.exited = asyncio.Event()
        self.rehearsed = asyncio.Event()
        self._on_exit = on_exit
        self._linger = linger

    async def rehearse(self, rehearsal: Rehearsal) -> None:
        """End it at once."""
        self.rehearsed.set()

    def pause(self) -> None:
        self.paused = True

    def wake(self) -> None:
        self.paused = False

    def die(self) -> None:
        if self.alive:
            self.alive = False
            self.exited.set()
            self._on_exit(self)

    def kill(self) -> None:
        self.killed = True
        self.die()

    async def end(self, *, idle: bool = False) -> None:
        await asyncio.sleep(self._linger)
        self.die()

    async def exits_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self.exited.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def last_words(self) -> str:
        return "exit status 1"


class FakeConversation:
    """A conversation in a process, which contains `words`."""

    def __init__(self, process: Any, words: str = "u1 a1", *, pending: bool = False) -> None:
        self.process = process
        self.root = b"root"
        self.bound = Bound()
        self.entries = transcript(*words.split())
        self.movable = True
        self.pending = {"a": "b"} if pending else {}
        self.wear = Wear(process.pid)


async def says(ready: bool) -> bool:
    """Say after a moment whether the turn has settled."""
    await asyncio.sleep(0)
    return ready


class Launcher:
    """Launches fake processes and keeps them; fails as often as ``failures`` says."""

    def __init__(self) -> None:
        self.processes: list[Any] = []
        self.failures = 0
        self.delay = 0.0
        self.linger = 0.0

    async def __call__(self, kind: ProcessKind, on_exit: Callable[[Any], None]) -> Any:
        await asyncio.sleep(self.delay)
        if self.failures:
            self.failures -= 1
            raise BackendUnavailable("no such program")
        process = FakeProcess(kind, on_exit, self.linger)
        self.processes.append(process)
        return process

    @property
    def paused(self) -> list[Any]:
        """The running processes that are stopped."""
        return [process for process in self.processes if process.alive and process.paused]

    @property
    def most(self) -> int:
        """How many are running."""
        return sum(process.alive for process in self.processes)


@asynccontextmanager
async def pool(memory: UsedModels | None = None, **settings: Any) -> AsyncIterator[tuple[Any, Launcher]]:
    """Yield a pool and its launcher; everything is ended afterwards."""
    launch = Launcher()
    memory = memory or UsedModels("claude", Path(os.devnull))
    used = Pool(ClaudeCliSettings(**{"warm": 0, **settings}), launch, lambda _: Rehearsal(), memory)
    try:
        yield used, launch
    finally:
        await used.stop()
        assert launch.most == 0


async def settled() -> None:
    """Let everything run that is due."""
    for _ in range(20):
        await asyncio.sleep(0)
    await asyncio.sleep(0.005)


def started(work: Any) -> asyncio.Task[Any]:
    """Run the work in the background."""
    return asyncio.get_running_loop().create_task(work)


def wanted(kind: ProcessKind, client: str = "me", words: str = "u9", root: bytes = b"root") -> Wanted:
    """Return what a client's request wants."""
    return Wanted(kind, root, Client(address=client), [message(word) for word in words.split()])


def counts(**given: int) -> dict[str, int]:
    """Return a pool's counts; those that are not given are zero."""
    return {"starting": 0, "warm": 0, "busy": 0, "parked": 0, "ending": 0, "queued": 0, **given}
