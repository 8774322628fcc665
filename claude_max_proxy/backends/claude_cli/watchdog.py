"""Ends the CLI's processes when the proxy is killed and can no longer do it itself.

A shell that does nothing else reads from a pipe which process groups there are. When the proxy dies, however
it dies, the pipe ends, and the shell kills them. On Linux the kernel kills the CLI first; this also reaches
one that runs under a wrapper, and is all there is on other Unix systems.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil


_SCRIPT = """
groups=
while read -r sign group; do
    if [ "$sign" = + ]; then
        groups="$groups $group"
    else
        kept=
        for one in $groups; do [ "$one" = "$group" ] || kept="$kept $one"; done
        groups=$kept
    fi
done
for one in $groups; do kill -s KILL -- "-$one" 2>/dev/null; done
"""
_STOP_TIMEOUT = 2.0


class Watchdog:
    """One shell per backend. Without a shell, as on Windows, it does nothing."""

    def __init__(self) -> None:
        """Prepare; nothing runs before :meth:`start`."""
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the shell, out of reach of the terminal's signals."""
        shell = shutil.which("sh") if os.name == "posix" else None
        if shell is None:
            return

        with contextlib.suppress(OSError):
            self._process = await asyncio.create_subprocess_exec(
                *(shell, "-c", _SCRIPT),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                env={},
                cwd="/",
                start_new_session=True,
            )

    @property
    def descriptor(self) -> int | None:
        """Where a child may say by itself that it has begun; ``None`` without a shell."""
        if self._process is None or self._process.stdin is None:
            return None
        pipe = self._process.stdin.transport.get_extra_info("pipe")
        return None if pipe is None else int(pipe.fileno())

    def add(self, group: int) -> None:
        """Watch a process group that has begun; to hear of one twice does no harm."""
        self._tell(watch(group))

    def remove(self, group: int) -> None:
        """Watch it no longer: it has ended, and its number may be another's soon."""
        self._tell(f"- {group}\n".encode())

    async def stop(self) -> None:
        """End the shell; whatever is still watched is killed."""
        if self._process is None:
            return

        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(_STOP_TIMEOUT):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
        self._process = None

    def _tell(self, line: bytes) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError, RuntimeError):
                self._process.stdin.write(line)


def watch(group: int) -> bytes:
    """Write the line that has a process group watched."""
    return f"+ {group}\n".encode()
