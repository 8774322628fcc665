"""A configuration run for a moment, by a command that only wants to know something."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec

from claude_max_proxy.config import Config
from claude_max_proxy.runtime import Runtime


_POLL = 0.05


def unwarmed(config: Config) -> Config:
    """Return a configuration whose CLIs start only what is asked of them."""
    backends = {
        name: {**table, "warm": 0} if table["type"] == "claude-cli" else table
        for name, table in config.backends.items()
    }
    return msgspec.structs.replace(config, backends=backends)


@contextlib.asynccontextmanager
async def started(config: Config, timeout: float) -> AsyncIterator[Runtime]:
    """Run its backends, and wait up to ``timeout`` seconds until each knows how it stands."""
    runtime = Runtime(unwarmed(config))
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await runtime.start()
                await asyncio.gather(*(_settled(runtime, name) for name in runtime.backends))
        yield runtime
    finally:
        await runtime.stop()


async def _settled(runtime: Runtime, name: str) -> None:
    while True:
        if runtime.backends[name].health().get("status") != "starting":
            return
        await asyncio.sleep(_POLL)
