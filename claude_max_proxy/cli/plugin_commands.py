"""The subcommands of plugins, which are asked for them only when a command that is not built in is called."""

from __future__ import annotations

from collections.abc import Collection

import click

from claude_max_proxy import ConfigError
from claude_max_proxy.plugin.plugins import Plugins


def commands_of(plugins: Plugins, built_in: Collection[str]) -> dict[str, click.Command]:
    """Return the commands that plugins add to those whose names are ``built_in``, by name.

    Raises :class:`ConfigError` if a plugin fails, or adds something that is no command.
    """
    group = click.Group()
    plugins.register_commands(group)
    for name, command in group.commands.items():
        if not isinstance(name, str) or not isinstance(command, click.Command):
            raise ConfigError(f"a plugin adds the command {name!r}, which is a {type(command).__name__}")
    return {name: command for name, command in group.commands.items() if name not in built_in}
