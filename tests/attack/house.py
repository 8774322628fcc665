"""Runs attacks: the bystander, the hostile provider, one proxy at a time, and one attack after the other."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.attack import judging
from tests.attack.configured import configuration, environment
from tests.attack.evil import Evil
from tests.attack.neighbour import Neighbour
from tests.attack.registry import Attack
from tests.attack.stage import KEYS, Stage
from tests.end_to_end.running import RunningProxy, until


START = 60.0


@dataclass
class Result:
    """The result of an attack: the longest wait of an honest client in seconds, `grown` in MB."""

    attack: Attack
    cli: str
    tried: int = 0
    asked: int = 0
    worst: float = 0.0
    grown: float = 0.0
    took: float = 0.0
    problems: list[str] = field(default_factory=list)

    @property
    def held(self) -> bool:
        """Whether it held."""
        return not self.problems


class House:
    """Everything that attacks need, inside of `async with`; `scale` 1 means the whole attacks."""

    def __init__(self, cli: str, command: str, scale: float) -> None:
        """Use the real CLI with this name, which is at `command`, for the proxies."""
        self._cli = cli
        self._command = command
        self._scale = scale
        self._neighbour = Neighbour()
        self._evil = Evil()
        self._stack = contextlib.AsyncExitStack()
        self._proxy: RunningProxy | None = None
        self._cli_in_reach = False
        self._homes = Path()
        self._number = 0

    async def __aenter__(self) -> Self:
        """Start the bystander and the providers."""
        self._homes = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="attack-")))
        await self._stack.enter_async_context(self._neighbour)
        await self._stack.enter_async_context(self._evil)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the last proxy, and everything else."""
        await self._neighbour.rest()
        await self._end_proxy([])
        await self._stack.aclose()

    async def run(self, attack: Attack) -> Result:
        """Run one attack."""
        result = Result(attack, self._cli)
        began = time.monotonic()
        try:
            await self._attack(attack, result)
        except Exception as error:
            result.problems.append(f"the attack broke off: {error!r}"[:300])
        with contextlib.suppress(TimeoutError):
            await self._neighbour.rest()
        if attack.alone or result.problems:
            await self._end_proxy(result.problems)
        result.took = time.monotonic() - began
        return result

    async def _attack(self, attack: Attack, result: Result) -> None:
        proxy = await self._proxy_for(attack)
        stage = Stage(proxy, self._evil, self._scale, self._command)
        result.problems = stage.problems
        self._evil.reset()
        await self._neighbour.ask(proxy.url, KEYS["honest"], attack.honest, attack.bound)
        was = judging.before(proxy)
        limit = asyncio.timeout(attack.limit * max(1.0, self._scale))
        try:
            async with limit:
                await attack.run(stage)
        except TimeoutError as error:
            over = f"the attack was not over after {attack.limit:g} s"
            stage.problems.append(over if limit.expired() else f"it waited in vain: {error!r}")
        if not stage.ends:
            await self._neighbour.served(attack.bound)
        fare = self._neighbour.fare
        result.tried, result.asked, result.worst = stage.tried, fare.asked, fare.worst
        if not stage.ends:
            stage.problems += fare.problems[:3]
        result.grown = await judging.judge(stage, attack, was)

    async def _proxy_for(self, attack: Attack) -> RunningProxy:
        """Return the proxy that attacks share, or a separate one if they touch its CLI or need one."""
        running = self._proxy is not None and self._proxy.process.returncode is None
        if attack.alone or attack.cli != self._cli_in_reach or not running:
            await self._end_proxy([])
        if self._proxy is None:
            self._cli_in_reach = attack.cli
            self._proxy = await self._start(attack)
        return self._proxy

    async def _start(self, attack: Attack) -> RunningProxy:
        self._number += 1
        home = self._homes / f"home-{self._number}"
        work = home / "project"
        (work / "plugins").mkdir(parents=True, mode=0o700)
        (work / "other.key").write_text(KEYS["other"])
        (work / "other.key").chmod(0o600)
        wrapper = work / "claude"
        wrapper.write_text(f'#!/bin/sh\nexec "{self._command}" "$@"\n')
        wrapper.chmod(0o700)
        proxy = RunningProxy(home, environment(self._neighbour.addresses))
        command = str(wrapper) if attack.cli else self._command
        before = os.umask(0o077)  # there are keys in the configuration
        try:
            await proxy.start(configuration(self._neighbour.addresses, self._evil.url, command))
        finally:
            os.umask(before)
        return proxy

    async def _end_proxy(self, problems: list[str]) -> None:
        """End the proxy as a service manager does; note what is left of it."""
        proxy, self._proxy = self._proxy, None
        if proxy is None:
            return
        try:
            if proxy.process.returncode is None and await proxy.stop():
                problems.append(f"told to stop, it ended with {proxy.process.returncode}")
        except AssertionError:
            problems.append("told to stop, it did not end")
        if not await until(lambda: not proxy.descendants(), 5):
            left = proxy.descendants()
            problems.append(f"{len(left)} processes outlived the proxy")
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        shutil.rmtree(proxy.home, ignore_errors=True)
