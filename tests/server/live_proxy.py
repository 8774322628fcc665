"""A running proxy: a watched folder with its ``proxy.toml`` and ``plugins/``, and a client for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from claude_max_proxy.config import load
from claude_max_proxy.server.reloading.generations import Generations
from tests.scripted import plugin_folder


SOON = 15.0
TOML = """
[backends.claude]
type = "scripted"

[models]
echo = "claude/one"
"""
SECOND = TOML + 'other = "claude/two"\n'


class LiveProxy:
    """One configuration after the other, as a user saves them."""

    def __init__(
        self, folder: Path, toml: str = TOML, *, poll: float = 0.02, patience: float = 0.1, **sources: str
    ) -> None:
        """Write the files and build the first configuration."""
        self.folder = folder
        self.plugins = plugin_folder(folder, **sources)
        self.file = folder / "proxy.toml"
        self.file.write_text(toml)
        self.live = Generations(partial(load, self.file), poll=poll, patience=patience)
        application: Any = self.live  # Litestar types what it is called with, httpx does not
        transport = httpx.ASGITransport(application, raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:3456")

    @property
    def backend(self) -> Any:
        """The scripted backend in force."""
        return self.live.runtime.backends["claude"]

    def write(self, toml: str) -> None:
        """Save ``proxy.toml``."""
        self.file.write_text(toml)

    def plugin(self, name: str, source: str) -> None:
        """Save a plugin."""
        file = self.plugins / f"{name}.py"
        file.write_text(source)
        file.chmod(0o600)

    async def ask(self, model: str = "echo", **headers: str) -> httpx.Response:
        """Ask for a whole answer."""
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
        return await self.http.post("/v1/chat/completions", json=body, headers=headers)

    async def health(self) -> dict[str, Any]:
        """Return the body of ``/health``."""
        facts: dict[str, Any] = (await self.http.get("/health")).json()
        return facts

    async def until(self, true: Callable[[], Any]) -> None:
        """Wait until a condition holds."""
        async with asyncio.timeout(SOON):
            while not true():  # noqa: ASYNC110  # what is waited for has no event of its own
                await asyncio.sleep(0.02)

    async def changed(self) -> None:
        """Wait until another configuration is in force."""
        runtime = self.live.runtime
        await self.until(lambda: self.live.runtime is not runtime)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[LiveProxy]:
        """Start the proxy, and stop it afterwards, as a server does."""
        inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        outbox: asyncio.Queue[Any] = asyncio.Queue()
        task = asyncio.get_running_loop().create_task(
            self.live({"type": "lifespan", "asgi": {"version": "3.0"}}, inbox.get, outbox.put)  # type: ignore[arg-type]
        )
        await inbox.put({"type": "lifespan.startup"})
        message = await outbox.get()
        assert message["type"] == "lifespan.startup.complete", message
        try:
            yield self
        finally:
            await self.http.aclose()
            await inbox.put({"type": "lifespan.shutdown"})
            await asyncio.wait_for(task, 10)
