"""The conformance suite, for every built-in dialect and backends without a CLI."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from claude_max_proxy import (
    Failed,
    Started,
)
from claude_max_proxy.config import PluginsConfig
from claude_max_proxy.dialect import Dialect
from claude_max_proxy.errors import Overloaded
from claude_max_proxy.plugin.plugins import Plugins, load_built_ins
from claude_max_proxy.testing.conformance import check_backend, check_dialect
from tests.scripted import plugin_folder
from tests.testing.conforming import CALL, CHAT, RESPONSES, asking, backend_of, scripted


ROOT = Path(__file__).parents[2]
MESSAGES = [
    b'{"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}',
    (
        b'{"model": "m", "max_tokens": 9, "stream": true, "temperature": 0.5, "stop_sequences": ["x"],'
        b' "system": [{"type": "text", "text": "Be brief."}], "thinking": {"type": "adaptive"},'
        b' "metadata": {"user_id": "u"}, "output_config": {"effort": "low"}, "tool_choice": {"type": "any"},'
        b' "tools": [{"name": "look", "input_schema": {"type": "object"}}],'
        b' "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]}'
    ),
]
COMPLETIONS = [
    b'{"model": "m", "prompt": "Once", "stop": ["x"], "max_tokens": 5, "temperature": 0.5, "echo": false}'
]
SAMPLES = {
    "anthropic-messages": MESSAGES,
    "openai-chat": CHAT,
    "openai-completions": COMPLETIONS,
    "openai-responses": RESPONSES,
}
WITHOUT_TOOLS = {"openai-completions"}


def built_in_dialects() -> dict[str, Dialect]:
    """Return every client API that is built in."""
    dialects: dict[str, Dialect] = {}
    Plugins(load_built_ins(), PluginsConfig()).register_dialects(
        lambda dialect: dialects.update({dialect.name: dialect})
    )
    return dialects


@pytest.mark.parametrize("name", built_in_dialects())
def test_every_built_in_dialect(name: str) -> None:
    """Every built-in dialect fulfils the contract, and has samples here."""
    check_dialect(built_in_dialects()[name], SAMPLES[name], tools=name not in WITHOUT_TOOLS)


async def test_the_echo() -> None:
    """The echo drop-in fulfils the whole contract of a backend."""
    await check_backend(backend_of(ROOT / "plugins", "echo"))


@pytest.mark.parametrize("failure", [Overloaded("no"), Failed(Overloaded("no"))])
async def test_the_scripted_backend(tmp_path: Path, failure: Any) -> None:
    """Tool calls and failures, raised or yielded, are checked if a backend has them."""
    make = scripted(
        backend_of(plugin_folder(tmp_path), "scripted"), {"call": CALL, "fail": [Started("m"), failure]}
    )
    await check_backend(make, calling=asking("call"), failing=asking("fail"))
