"""The shipped drop-ins in a running configuration: real files, real hooks, and the echo as a model."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from claude_max_proxy import Message, Reply, Request, Text, fold
from claude_max_proxy.config import parse
from claude_max_proxy.runtime.runtime import Runtime


FOLDER = Path(__file__).parents[2] / "plugins"
MODELS = """
[backends.mirror]
type = "echo"

[models]
echo = "mirror/any"
other = "mirror/another"
"""


class Chat:
    """A configuration, and all that was asked in it."""

    def __init__(self, toml: str) -> None:
        table = tomllib.loads(MODELS + toml)
        table["plugins"] = {**table.get("plugins", {}), "paths": [str(FOLDER)]}
        self.runtime = Runtime(parse(table, None))

    async def ask(self, *, request: Request | None = None, text: str = "", model: str = "echo") -> Reply:
        """Send a request through the gateway, and return the reply."""
        request = request or Request(model, messages=[Message("user", [Text(text)])])
        return fold([event async for event in self.runtime.gateway.answer(request, "test")])


@pytest.fixture
def configured() -> Callable[[str], Chat]:
    """Return a function that makes a configuration with further TOML."""
    return Chat
