"""The conformance suite for the built-in backend with the real CLI."""

from __future__ import annotations

from pathlib import Path

from claude_max_proxy import Message, Request, Text, Tool
from claude_max_proxy.backends.claude_cli.backend import ClaudeCli
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings
from claude_max_proxy.testing import ScriptedUpstream
from claude_max_proxy.testing.conformance import check_backend


def asking(text: str, *tools: Tool) -> Request:
    """Return a request with this text."""
    return Request("sonnet", messages=[Message("user", [Text(text)])], tools=list(tools))


async def test_the_cli_backend(cli: str, tmp_path: Path) -> None:
    """The CLI backend fulfils the whole contract of a backend."""
    async with ScriptedUpstream() as upstream:
        settings = ClaudeCliSettings(
            command=cli,
            warm_models=["sonnet"],
            retries=0,
            env={**upstream.environment(), "HOME": str(tmp_path)},
        )
        await check_backend(
            lambda: ClaudeCli("claude", settings),
            model="sonnet",
            request=asking("Say something."),
            calling=asking('[[tool look {"where": "here"}]]', Tool("look", "Look.", {"type": "object"})),
            failing=asking("[[status 400 wrong]]"),
            within=60,
        )
