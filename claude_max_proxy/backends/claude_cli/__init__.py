"""The real Claude Code CLI as a backend, a built-in plugin: ``type = "claude-cli"``."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from claude_max_proxy import Backend, Config, Context, RegisterBackend, RegisterCheck, hookimpl
from claude_max_proxy.backends.claude_cli import sharing
from claude_max_proxy.backends.claude_cli.backend import ClaudeCli
from claude_max_proxy.backends.claude_cli.doctor import checks
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings


logger = logging.getLogger(__name__)


@hookimpl
def register_backends(register: RegisterBackend) -> None:
    """Add the backend type."""
    register("claude-cli", ClaudeCliSettings, ClaudeCli)


@hookimpl(tryfirst=True)  # nearly everybody uses this backend, so its checks come first
def register_checks(register: RegisterCheck, config: Config, backends: Mapping[str, Backend]) -> None:
    """Add the checks for each CLI: where it is, its version, its login, and who shares that."""
    for name, backend in backends.items():
        if isinstance(backend, ClaudeCli):
            for check in checks(name, backend.settings):
                register(check)
            if len(config.server.api_keys) > 1:
                register(sharing.check(config, name))


@hookimpl
def configured(new: Config, context: Context) -> None:
    """Warn where several API keys lead to one login."""
    for name, backend in context.backends.items():
        if isinstance(backend, ClaudeCli) and (names := sharing.sharing(new, name)):
            logger.warning("%s", sharing.told(names, name))
