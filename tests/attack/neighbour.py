"""The bystander from the view of the attacking process: where its providers are, how its client fares."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self


@dataclass
class Fare:
    """How well the honest client was served during one attack."""

    asked: int = 0
    worst: float = 0.0
    problems: list[str] = field(default_factory=list)


class Neighbour:
    """The honest client and the providers, inside of `async with`."""

    def __init__(self) -> None:
        self.fare = Fare()
        self.addresses: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._rests = asyncio.Event()
        self._resting = True

    async def __aenter__(self) -> Self:
        """Start the bystander."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.attack.bystander"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self.addresses = json.loads(await asyncio.wait_for(self._process.stdout.readline(), 30))
        self._reading = asyncio.get_running_loop().create_task(self._read(self._process.stdout))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the bystander."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 5)
        except TimeoutError:
            self._process.kill()
        await self._reading

    async def ask(self, url: str, key: str, kinds: tuple[str, ...], bound: float) -> None:
        """Let the honest client ask from now on, and wait until each kind of question was answered twice."""
        self.fare, self._resting = Fare(), False
        self._counts = dict.fromkeys(kinds, 0)
        await self._order({"url": url, "key": key, "kinds": kinds, "bound": bound})
        await self.served(bound)

    async def served(self, bound: float, times: int = 2) -> None:
        """Wait until each kind of question was answered this many more times, rightly or not."""
        goal = {kind: count + times for kind, count in self._counts.items()}
        # the bystander itself reports a question that takes too long
        async with asyncio.timeout(times * bound + 20):
            while any(self._counts[kind] < count for kind, count in goal.items()):
                assert self._process.returncode is None, "the bystander has ended"
                await asyncio.sleep(0.02)

    async def rest(self) -> None:
        """Let the honest client stop asking."""
        if not self._resting:
            self._rests.clear()
            await self._order({})
            await asyncio.wait_for(self._rests.wait(), 20)
            self._resting = True

    async def _order(self, order: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        await self._process.stdin.drain()

    async def _read(self, stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            told = json.loads(line)
            if told.get("rests"):
                self._rests.set()
            else:
                self._note(told)

    def _note(self, told: dict[str, Any]) -> None:
        self._counts[told["kind"]] = self._counts.get(told["kind"], 0) + 1
        self.fare.asked += 1
        self.fare.worst = max(self.fare.worst, told["took"])
        if told["problem"]:
            self.fare.problems.append(f"an honest {told['kind']} request got {told['problem']}")
