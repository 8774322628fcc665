"""The two entry points. Errors that a user can mend are one paragraph, never a traceback."""

from __future__ import annotations

import sys

import click

from claude_max_proxy import ConfigError, __version__
from claude_max_proxy.cli.commands import serve
from claude_max_proxy.config import PluginsConfig, load
from claude_max_proxy.plugins import Plugins, load_built_ins
from claude_max_proxy.runtime import find_config, load_plugins


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="claude-max-proxy")
@click.pass_context
def cli(context: click.Context) -> None:
    """Point any OpenAI program at your own Claude Code login."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main() -> None:
    """Run ``claude-max-proxy``."""
    _plugins().register_commands(cli)
    _run(cli, "claude-max-proxy")


def claude_max_api() -> None:
    """Run ``claude-max-api [PORT]``: the same server under the npm tool's command."""
    command = click.Command(
        "claude-max-api",
        params=[click.Argument(["port"], required=False, type=click.IntRange(0, 65535))],
        callback=lambda port: serve.callback(None, None, port, False) if serve.callback else None,
        help="Serve on PORT (3456 unless said otherwise), as `claude-max-proxy serve --port PORT` does.",
    )
    _run(command, "claude-max-api")


def _plugins() -> Plugins:
    """Load the plugins that may add commands; a broken configuration is for the command itself to report."""
    try:
        return load_plugins(load(find_config(None)))
    except ConfigError:
        return Plugins(load_built_ins(), PluginsConfig())


def _run(command: click.Command, name: str) -> None:
    try:
        status = command.main(prog_name=name, standalone_mode=False)
    except ConfigError as error:
        _fail(str(error))
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    else:
        if isinstance(status, int):  # what a command left with, by `context.exit`
            sys.exit(status)


def _fail(message: str) -> None:
    click.echo(f"Error: {message}", err=True)
    sys.exit(2)
