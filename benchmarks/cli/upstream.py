"""The scripted Messages API as a separate process, which tells how many bytes it has received."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from types import TracebackType
from typing import Any, Self

from claude_max_proxy.testing import ScriptedUpstream


class Upstream:
    """Runs the API inside of ``with``."""

    def __enter__(self) -> Self:
        """Start the API; ``environment`` contains the variables that make a CLI use it."""
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
        """End the API."""
        self._process.communicate()

    def received(self) -> int:
        """Return the size of all questions so far, in bytes."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._hear())

    def _hear(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


async def serve() -> None:
    """Serve until standard input ends; answer each line of it with the number of bytes received.

    The API is not strict, since the time for checking requests should not be measured.
    """
    async with ScriptedUpstream(recording=False, strict=False) as upstream:
        print(json.dumps(upstream.environment()), flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            print(upstream.bytes_received, flush=True)


if __name__ == "__main__":
    asyncio.run(serve())
