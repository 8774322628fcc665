"""The real Claude Code CLI as a backend, a built-in plugin: ``type = "claude-cli"``."""

from __future__ import annotations

from collections.abc import Mapping

from claude_max_proxy import Backend, RegisterBackend, RegisterCheck, hookimpl
from claude_max_proxy.backends.claude_cli.backend import ClaudeCli
from claude_max_proxy.backends.claude_cli.checks import checks
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings


@hookimpl
def register_backends(register: RegisterBackend) -> None:
    """Add the backend type."""
    register("claude-cli", ClaudeCliSettings, ClaudeCli)


@hookimpl(tryfirst=True)  # it is the backend that everybody has
def register_checks(register: RegisterCheck, backends: Mapping[str, Backend]) -> None:
    """Look at each CLI: where it is, its version, its login."""
    for name, backend in backends.items():
        if isinstance(backend, ClaudeCli):
            for check in checks(name, backend.settings):
                register(check)
