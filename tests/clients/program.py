"""A program that is asked for one thing after the other, so that its packages are imported once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import suppress
from typing import Any


_END = 5.0


class Program:
    """A client's program that runs `harness.py` or `harness.mjs`: a line of JSON in, a line of JSON out."""

    def __init__(self, process: asyncio.subprocess.Process, said: list[str]) -> None:
        """Talk to a process that has just been started; what it says is added to `said`."""
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._process = process
        self._input = process.stdin
        self._output = process.stdout
        self._said = said
        self._errors = asyncio.get_running_loop().create_task(self._hear(process.stderr))

    async def ask(self, what: str, arguments: dict[str, Any], within: float) -> Any:
        """Call its function `what`, and return what that returns; raise AssertionError for what it raises."""
        self._input.write(json.dumps([what, arguments]).encode() + b"\n")
        try:
            async with asyncio.timeout(within):
                line = await self._output.readline()
        except TimeoutError:
            raise AssertionError(f"{what} gave no answer within {within:.0f} s") from None
        assert line, f"the program ended in {what}: {' '.join(self._said[-3:])}"
        self._said.append(f"{what}: {line.decode().strip()}")
        answer = json.loads(line)
        assert "error" not in answer, f"{what}: {answer.get('error')}"
        return answer["result"]

    async def end(self) -> None:
        """End it."""
        self._input.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), _END)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        self._errors.cancel()
        await asyncio.wait([self._errors])

    async def _hear(self, stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            self._said.append(line.decode(errors="replace").rstrip())
