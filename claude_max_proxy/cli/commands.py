"""The built-in subcommands. Each imports what it needs when it runs, so that ``--help`` is quick."""

from __future__ import annotations

import click

from claude_max_proxy import hookimpl


_config = click.option(
    "--config", "-c", metavar="FILE", help="Read this proxy.toml instead of the one that is found."
)


@click.command()
@_config
@click.option("--host", metavar="ADDRESS", help="Listen here (default: 127.0.0.1).")
@click.option("--port", "-p", type=click.IntRange(0, 65535), help="Listen here (default: 3456; 0: any).")
@click.option("--verbose", "-v", is_flag=True, help="Log more.")
def serve(config: str | None, host: str | None, port: int | None, verbose: bool) -> None:
    """Serve the OpenAI API on this machine."""
    from claude_max_proxy.cli.serving import run

    run(config, host, port, verbose=verbose)


@click.command()
@_config
def models(config: str | None) -> None:
    """List the model names that clients can use."""
    from claude_max_proxy.cli.listing import run

    run(config)


@click.command()
@click.option("--prompt", default="Tell me what just happened.", help="What to say to the model.")
def demo(prompt: str) -> None:
    """Show one chat through the real CLI with no account: a scripted provider answers."""
    from claude_max_proxy.cli.demonstration import run

    run(prompt)


@hookimpl
def register_commands(cli: click.Group) -> None:
    """Add the built-in subcommands."""
    for command in (serve, models, demo):
        cli.add_command(command)
