"""The scripted Messages API as a process of its own, which tells how much it was sent."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from types import TracebackType
from typing import Any, Self

from claude_max_proxy.testing import ScriptedUpstream


class Upstream:
    """Runs the API from ``with`` to its end."""

    def __enter__(self) -> Self:
        """Start it; ``environment`` is what points a CLI at it."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.cli.upstream"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.environment: dict[str, str] = self._hear()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it."""
        self._process.communicate()

    def received(self) -> int:
        """Give the bytes of all questions it was asked so far."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._hear())

    def _hear(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


async def serve() -> None:
    """Serve until standard input ends; answer each of its lines with the bytes received.

    It is not strict, since the time to look at a question closely is not what is measured.
    """
    async with ScriptedUpstream(recording=False, strict=False) as upstream:
        print(json.dumps(upstream.environment()), flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            print(upstream.bytes_received, flush=True)


if __name__ == "__main__":
    asyncio.run(serve())
