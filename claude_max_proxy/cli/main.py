"""The two entry points. An error that the user can fix is printed as one paragraph, never as a traceback."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from claude_max_proxy import ConfigError, __version__
from claude_max_proxy.cli.commands import serve
from claude_max_proxy.cli.program import Program
from claude_max_proxy.formats.quoting import plain_lines


_HELP = {"help_option_names": ["-h", "--help"]}
_with_version = click.version_option(__version__, "-V", "--version", prog_name="claude-max-proxy")


@click.group(cls=Program, invoke_without_command=True, context_settings=_HELP)
@_with_version
@click.pass_context
def cli(context: click.Context) -> None:
    """Point any OpenAI program at your own Claude Code login."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main() -> None:
    """Run ``claude-max-proxy``."""
    _run(cli, "claude-max-proxy")


def claude_max_api() -> None:
    """Run ``claude-max-api [PORT]``: the same server, with the npm tool's command line."""
    command = click.Command(
        "claude-max-api",
        params=[click.Argument(["port"], required=False, type=click.IntRange(0, 65535))],
        callback=lambda port: serve.callback(None, port=port) if serve.callback else None,
        help="Serve on PORT (3456 unless said otherwise), as `claude-max-proxy serve --port PORT` does.",
        context_settings=_HELP,
    )
    _run(_with_version(command), "claude-max-api")


def _run(command: click.Command, name: str) -> None:
    try:
        status = command.main(prog_name=name, standalone_mode=False)
    except ConfigError as error:
        _fail(error)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    else:
        if isinstance(status, int):  # the status that a command has passed to `context.exit`
            sys.exit(status)


def _fail(error: ConfigError) -> None:
    """Print each mistake on its own line, and exit with status 2.

    A mistake that begins with the name of a file gets no "Error: " before it: so editors recognise its place.
    """
    file = str(error).partition(":")[0]
    click.echo(f"{'' if Path(file).is_file() else 'Error: '}{plain_lines(str(error))}", err=True)
    sys.exit(2)
