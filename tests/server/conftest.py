"""What the server's tests share: a served runtime with the scripted backend, and an HTTP client for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from claude_max_proxy.server.app import build_app
from tests.scripted import scripted_runtime


class Served(msgspec.Struct):
    """A running application, its scripted backend, and a client."""

    application: Any
    backend: Any
    http: httpx.AsyncClient


Serve = Callable[..., Awaitable[Served]]


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Serve a configuration with the scripted backend and further plugins, and end it with the test."""
    async with AsyncExitStack() as stack:

        async def start(*, sources: dict[str, str] | None = None, **table: Any) -> Served:
            runtime = scripted_runtime(tmp_path, table, **(sources or {}))
            application = build_app(runtime)
            transport = httpx.ASGITransport(application, raise_app_exceptions=False)
            http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:3456")
            await stack.enter_async_context(http)
            return Served(application, runtime.backends["claude"], http)

        yield start


@pytest.fixture
async def served(serve: Serve) -> Served:
    """The defaults, served."""
    return await serve()
