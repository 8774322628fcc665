"""What the server's tests share: a served runtime with the scripted backend, and an HTTP client for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from blockbuster import blockbuster_ctx

from claude_max_proxy.server.app import build_app
from tests.scripted import scripted_runtime


class Served(msgspec.Struct):
    """A running application, its scripted backend, and a client."""

    application: Any
    backend: Any
    http: httpx.AsyncClient
    runtime: Any


Serve = Callable[..., Awaitable[Served]]


@pytest.fixture
def nothing_blocks() -> Iterator[None]:
    """Fail where the proxy's own code blocks the event loop: by a file, a socket, a lock, a sleep."""
    with blockbuster_ctx("claude_max_proxy"):
        yield


@pytest.fixture
async def serve(tmp_path: Path, nothing_blocks: None) -> AsyncIterator[Serve]:
    """Serve a configuration with the scripted backend and further plugins, until the end of the test."""
    async with AsyncExitStack() as stack:

        async def start(*, sources: dict[str, str] | None = None, **table: Any) -> Served:
            # Before it serves, the proxy reads files: at its start, or on a thread at a reload.
            runtime = await asyncio.to_thread(scripted_runtime, tmp_path, table, **(sources or {}))
            application = build_app(runtime)
            transport = httpx.ASGITransport(application, raise_app_exceptions=False)
            http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:3456")
            await stack.enter_async_context(http)
            return Served(application, runtime.backends["claude"], http, runtime)

        yield start


@pytest.fixture
async def served(serve: Serve) -> Served:
    """The served defaults."""
    return await serve()
