"""The program: its built-in subcommands, and those of plugins when one that is not built in is called."""

from __future__ import annotations

import traceback
from typing import Any

import click

from claude_max_proxy import ConfigError
from claude_max_proxy.cli.commands import register_commands
from claude_max_proxy.cli.plugin_commands import commands_of
from claude_max_proxy.concurrency.endings import described
from claude_max_proxy.config import load, near_miss
from claude_max_proxy.runtime.runtime import find_config, load_plugins


class Program(click.Group):
    """The program with its built-in subcommands and those of plugins.

    ``--help`` and ``--version`` run no code of plugins, so ``--help`` only says how to list their commands.
    """

    def __init__(self, **options: Any) -> None:
        """Add the built-in subcommands."""
        super().__init__(epilog="Plugins may add commands; `claude-max-proxy plugins` lists them.", **options)
        register_commands(self)
        self._of_plugin = ""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is called, a plugin's if there is no built-in one of this name."""
        name, *rest = args
        if name in self.commands or ctx.resilient_parsing or not name[:1].isalnum():
            return super().resolve_command(ctx, args)

        command = self._plugins_command(name, ctx)
        self._of_plugin = name
        return name, command, rest

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what a plugin's command raises becomes a :class:`click.ClickException`."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, ConfigError, SystemExit):
            raise
        except BaseException as error:
            if not self._of_plugin or isinstance(error, KeyboardInterrupt):
                raise
            raise _Failed(self._of_plugin, error) from error

    def _plugins_command(self, name: str, ctx: click.Context) -> click.Command:
        """Load the plugins and return the command of this name.

        Raises :class:`ConfigError` if the plugins cannot be loaded, and ``UsageError`` for an unknown name.
        """
        try:
            found = commands_of(load_plugins(load(find_config(None))), self.commands)
        except ConfigError as error:
            raise ConfigError(
                f"there is no built-in command {name!r}, and the plugins cannot be loaded: {error}"
            ) from error
        if name not in found:
            ctx.fail(f"No such command {name!r}{near_miss(name, [*self.commands, *found])}")
        return found[name]


class _Failed(click.ClickException):
    """The command of a plugin raised an exception that is not meant for the user."""

    def __init__(self, name: str, error: BaseException) -> None:
        frames = traceback.extract_tb(error.__traceback__)
        where = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
        super().__init__(f"the command {name!r} of a plugin failed: {described(error)}{where}")
