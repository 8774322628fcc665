"""Ends the CLI's processes when the proxy is killed and can no longer do so itself.

A shell that does nothing else reads from a pipe which process groups there are. When the proxy dies, for
whatever reason, the pipe closes, and the shell kills these groups. On Linux the kernel kills the CLI first;
there the watchdog also reaches a CLI that runs under a wrapper. On other Unix systems only the watchdog does.
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
    """The shell of one backend. On a system without a shell, such as Windows, it does nothing."""

    def __init__(self) -> None:
        """Prepare; :meth:`start` starts the shell."""
        self._process: asyncio.subprocess.Process | None = None
        self._groups: set[int] = set()
        self._starting = asyncio.Lock()

    async def start(self) -> None:
        """Start the shell if it does not run, in its own session so that the terminal's signals miss it."""
        async with self._starting:
            if self._process is not None and self._process.returncode is None:
                return

            self._process = await _shell() or self._process
            for group in self._groups:
                self._tell(watch(group))

    @property
    def descriptor(self) -> int | None:
        """The descriptor to which a child may write that it has started; ``None`` without a shell."""
        if self._process is None or self._process.stdin is None:
            return None
        pipe = self._process.stdin.transport.get_extra_info("pipe")
        return None if pipe is None or pipe.closed else int(pipe.fileno())

    def add(self, group: int) -> None:
        """Watch a process group; adding one twice does no harm."""
        self._groups.add(group)
        self._tell(watch(group))

    def remove(self, group: int) -> None:
        """Stop watching a process group that has ended: the system may soon use its number again."""
        self._groups.discard(group)
        self._tell(f"- {group}\n".encode())

    async def stop(self) -> None:
        """End the shell, which kills all groups that are still watched."""
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


async def _shell() -> asyncio.subprocess.Process | None:
    shell = shutil.which("sh") if os.name == "posix" else None
    if shell is None:
        return None

    with contextlib.suppress(OSError):
        return await asyncio.create_subprocess_exec(
            *(shell, "-c", _SCRIPT),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env={},
            cwd="/",
            start_new_session=True,
        )
    return None


def watch(group: int) -> bytes:
    """Return the line that tells the shell to watch a process group."""
    return f"+ {group}\n".encode()
