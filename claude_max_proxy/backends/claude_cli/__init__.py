"""The real Claude Code CLI as a backend, a built-in plugin: ``type = "claude-cli"``."""

from __future__ import annotations

from claude_max_proxy import RegisterBackend, hookimpl
from claude_max_proxy.backends.claude_cli.backend import ClaudeCli
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings


@hookimpl
def register_backends(register: RegisterBackend) -> None:
    """Add the backend type."""
    register("claude-cli", ClaudeCliSettings, ClaudeCli)
