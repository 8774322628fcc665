"""The proxy with a ``proxy.toml`` in front of a scripted Messages API, for tests of the observers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from claude_max_proxy.config import load
from claude_max_proxy.runtime.runtime import Runtime
from claude_max_proxy.server.app import build_app
from claude_max_proxy.testing import ScriptedUpstream
from claude_max_proxy.testing.listener import Listener


PROXY_TOML = """
[models]
"big" = "api/claude-opus-4-5"
"small" = "api/claude-haiku-4-5"

[backends.api]
type = "anthropic"
base_url = "{url}"
api_key = "sk-ant"
retries = 0

[plugins]
paths = []

[plugins.ledger]
url = "sqlite:///{ledger}"
"""


class House:
    """The proxy, a client for it, and its upstream."""

    def __init__(self, runtime: Runtime, http: httpx.AsyncClient, upstream: ScriptedUpstream) -> None:
        """Take the parts."""
        self.runtime = runtime
        self.http = http
        self.upstream = upstream

    async def ask(self, text: str = "hi", model: str = "big", key: str = "", **fields: Any) -> httpx.Response:
        """Ask by the API of chat completions."""
        headers = {"authorization": f"Bearer {key}"} if key else {}
        body = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
        return await self.http.post("/v1/chat/completions", json=body, headers=headers)


@asynccontextmanager
async def serving(folder: Path, upstream: ScriptedUpstream, more: str = "") -> AsyncIterator[House]:
    """Serve the configuration above and ``more``, with a ledger in ``folder``."""
    path = folder / "proxy.toml"
    path.write_text(PROXY_TOML.format(url=upstream.url, ledger=folder / "ledger.sqlite") + more)
    runtime = Runtime(load(path))
    del runtime.backends["claude"]  # no CLI is needed here
    await runtime.start()
    await runtime.configured(None)
    listener = Listener(build_app(runtime))
    port = await listener.start()
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
            yield House(runtime, http, upstream)
    finally:
        await listener.stop()
        await runtime.stop()
        await runtime.plugins.shutdown()
