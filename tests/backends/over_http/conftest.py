"""A proxy whose backends are servers over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest

from claude_max_proxy.config import load
from claude_max_proxy.gateway import fallback as fallback_module
from claude_max_proxy.http_upstream import client as client_module
from claude_max_proxy.runtime.runtime import Runtime
from claude_max_proxy.server.app import build_app
from claude_max_proxy.testing import (
    ScriptedOpenAI,
    ScriptedUpstream,
)
from claude_max_proxy.testing.listener import Listener


PROXY_TOML = """
[models]
"o" = "local/llama"
"a" = "claude-api/claude-x"
"text-embedding-3-small" = "local/embedder"

[backends.local]
type = "openai"
base_url = "{openai}"
api_key = "env:LOCAL_KEY"
retries = 1
models = {{ llama = {{ context_window = 8192, modalities = ["text"], owner = "meta" }} }}

[backends.claude-api]
type = "anthropic"
base_url = "{anthropic}"
api_key = "file:{key}"
retries = 1
thinking = "adaptive"

[plugins]
paths = []
"""
BOTH = pytest.mark.parametrize("model", ["o", "a"])
TOOL: Any = {
    "type": "function",
    "function": {"name": "add", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}},
}


class House:
    """The proxy, a client for it, and both upstreams."""

    def __init__(self, url: str, runtime: Runtime, upstreams: dict[str, ScriptedUpstream]) -> None:
        """Set up the client."""
        self.url = url
        self.runtime = runtime
        self.upstreams = upstreams
        self.client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0, timeout=10)

    async def ask(self, model: str, text: str = "hi", **fields: Any) -> Any:
        """Ask one question."""
        fields.setdefault("messages", [{"role": "user", "content": text}])
        return await self.client.chat.completions.create(model=model, **fields)

    async def stream(self, model: str, **fields: Any) -> list[Any]:
        """Ask one question and return every chunk of the answer."""
        options = {"include_usage": True}
        return [part async for part in await self.ask(model, stream=True, stream_options=options, **fields)]


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    """A proxy in front of an OpenAI-compatible server and the Messages API."""
    monkeypatch.setattr(client_module, "_BACKOFF", 0.001)
    monkeypatch.setattr(fallback_module, "_PAUSE", 0.001)
    monkeypatch.setenv("LOCAL_KEY", "sk-local")
    (tmp_path / "key").write_text("sk-ant\n")
    async with ScriptedOpenAI() as local, ScriptedUpstream() as anthropic:
        text = PROXY_TOML.format(openai=local.base_url, anthropic=anthropic.url, key=tmp_path / "key")
        (tmp_path / "proxy.toml").write_text(text)
        runtime = Runtime(load(tmp_path / "proxy.toml"))
        del runtime.backends["claude"]  # no CLI is needed here
        await runtime.start()
        listener = Listener(build_app(runtime))
        port = await listener.start()
        made = House(f"http://127.0.0.1:{port}", runtime, {"o": local, "a": anthropic})
        yield made
        await made.client.close()
        await listener.stop()
        await runtime.stop()
