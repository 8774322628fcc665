"""Runs a configuration for a moment, for commands that only need to know something about it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec

from claude_max_proxy.config import Config
from claude_max_proxy.runtime.runtime import Runtime


_POLL = 0.05


def unwarmed(config: Config) -> Config:
    """Return the configuration with backends that warm no processes."""
    backends = {
        name: {**table, "warm": 0} if table["type"] == "claude-cli" else table
        for name, table in config.backends.items()
    }
    return msgspec.structs.replace(config, backends=backends)


@contextlib.asynccontextmanager
async def started(built: Runtime, timeout: float) -> AsyncIterator[Runtime]:
    """Run the backends of a runtime that is only built; wait at most ``timeout`` seconds for their states."""
    runtime = Runtime(unwarmed(built.config), drop_ins=built.drop_ins)
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
