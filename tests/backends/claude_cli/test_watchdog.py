"""The shell that ends the CLI's processes when the proxy cannot: with real processes."""

from __future__ import annotations

import asyncio
import signal

from claude_max_proxy.backends.claude_cli.watchdog import Watchdog


async def sleeper() -> asyncio.subprocess.Process:
    """Start a process that would outlive us, in its own process group."""
    return await asyncio.create_subprocess_exec("sleep", "60", start_new_session=True)


async def test_what_is_watched_ends_with_the_pipe() -> None:
    """When the pipe to the shell closes, it kills the processes that it still watches."""
    watched, ended = await sleeper(), await sleeper()
    watchdog = Watchdog()
    await watchdog.start()
    watchdog.add(ended.pid)
    watchdog.add(watched.pid)
    watchdog.remove(ended.pid)

    await watchdog.stop()

    async with asyncio.timeout(5):
        assert await watched.wait() == -signal.SIGKILL
    assert ended.returncode is None
    ended.kill()
    await ended.wait()


async def test_without_a_start() -> None:
    """A watchdog that was never started accepts every call and does nothing."""
    watchdog = Watchdog()
    watchdog.add(1)
    watchdog.remove(1)
    await watchdog.stop()
