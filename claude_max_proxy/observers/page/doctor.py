"""Runs ``claude-max-proxy doctor`` for whoever looks at the page, in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

import msgspec

from claude_max_proxy.errors import TooManyRequests


_LONGEST = 50.0  # seconds; a route has a minute
_LAST = 5.0  # seconds in which a process that was killed must be gone
_MOST_BYTES = 1024 * 1024


class Finding(msgspec.Struct, frozen=True):
    """One line of the report."""

    name: str
    status: str
    text: str
    remedy: str = ""


class _Report(msgspec.Struct):
    checks: list[Finding]


class Doctor:
    """Runs the checks of one configuration, once at a time."""

    def __init__(self, source: Path | None) -> None:
        """Check with the configuration in this file; without one, with the defaults."""
        self._source = source
        self._running = asyncio.Lock()

    async def findings(self) -> list[Finding]:
        """Return what the checks find. Raises :class:`TooManyRequests` while they run already."""
        if self._running.locked():
            raise TooManyRequests("the checks are running already", retry_after=5)
        async with self._running:
            return await self._run()

    async def _run(self) -> list[Finding]:
        # The command finds what it would find in a terminal, and masks what it must not tell.
        options = ["--config", str(self._source)] if self._source else []
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "claude_max_proxy", "doctor", "--json", "--no-round-trip", *options),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(_LONGEST):
                said = await process.stdout.read(_MOST_BYTES)
                while more := await process.stdout.read(_MOST_BYTES):
                    said = (said + more)[:_MOST_BYTES]
                await process.wait()
        except TimeoutError:
            return [Finding("doctor", "fail", f"the checks took longer than {_LONGEST:g} s", "try again")]
        finally:
            await _ended(process)
        return read(said)


def read(said: bytes) -> list[Finding]:
    """Return the findings in the command's report."""
    try:
        return msgspec.json.decode(said, type=_Report).checks
    except msgspec.DecodeError:
        return [Finding("doctor", "fail", "it did not report anything", "run `claude-max-proxy doctor`")]


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LAST):
            await process.wait()
