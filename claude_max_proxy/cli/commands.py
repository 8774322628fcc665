"""The built-in subcommands. Each imports what it needs when it runs, so that ``--help`` is quick."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from click.shell_completion import CompletionItem

from claude_max_proxy import hookimpl


_config = click.option(
    "--config",
    "-c",
    "config_file",
    metavar="FILE",
    help="Use this file instead of looking for a proxy.toml.",
)


def _completing(names: str) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """Let a shell complete what the function ``names`` of :mod:`completing` returns."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from claude_max_proxy.cli import completing

        return completing.completing(getattr(completing, names))(context, parameter, incomplete)

    return complete


@click.command()
@_config
@click.option("--host", metavar="ADDRESS", help="Listen on this address (default: 127.0.0.1).")
@click.option(
    "--port",
    "-p",
    type=click.IntRange(0, 65535),
    help="Listen on this port; 0 means any free one (default: 3456).",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="Log only what is at least this important (default: info).",
)
@click.option("--verbose", "-v", is_flag=True, help="The same as --log-level debug.")
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    help="Log for people or for programs (default: text).",
)
@click.option("--log-file", metavar="FILE", help="Write the log to this file too, and keep it below 10 MB.")
def serve(config_file: str | None, verbose: bool = False, **given: Any) -> None:
    """Serve the OpenAI and Anthropic APIs on this machine."""
    from claude_max_proxy.cli.serving import run

    if verbose and given["log_level"] is None:
        given["log_level"] = "debug"
    run(config_file, **given)


@click.command()
@click.argument("backend", required=False, shell_complete=_completing("backends"))
@_config
@click.pass_context
def login(context: click.Context, backend: str | None, config_file: str | None) -> None:
    """Log in the Claude Code CLI that the proxy uses.

    With BACKEND, log in the CLI of that backend; otherwise that of the first backend that has one.
    """
    from claude_max_proxy.cli.logging_in import run

    context.exit(run(backend, config_file))


@click.command()
@click.argument("name", required=False, shell_complete=_completing("models"))
@_config
def models(name: str | None, config_file: str | None) -> None:
    """List the models that clients can use, or explain NAME."""
    from claude_max_proxy.cli.overviews import list_models

    list_models(config_file, name)


@click.command()
@click.option("--prompt", default="Tell me what just happened.", help="What to say to the model.")
def demo(prompt: str) -> None:
    """Show a chat through the real CLI, without an account.

    A scripted provider on this machine answers.
    """
    from claude_max_proxy.cli.demonstration import run

    run(prompt)


@click.group(invoke_without_command=True)
@_config
@click.pass_context
def plugins(context: click.Context, config_file: str | None) -> None:
    """List the plugins, add a shipped one, or make a new one."""
    if context.invoked_subcommand is None:
        from claude_max_proxy.cli.overviews import list_plugins

        program = context.find_root().command
        list_plugins(config_file, program.commands if isinstance(program, click.Group) else ())


@plugins.command("new")
@click.argument("name")
@_config
@click.option("--folder", help="Write the plugin to this folder (default: the first one in [plugins] paths).")
def new_plugin(name: str, config_file: str | None, folder: str | None) -> None:
    """Write a working plugin NAME and its test, where the proxy loads it."""
    from claude_max_proxy.cli.new_plugin import write

    write(name, config_file, folder)


@plugins.command("add")
@click.argument("name", required=False, shell_complete=_completing("plugins"))
@_config
def add_plugin(name: str | None, config_file: str | None) -> None:
    """Copy the shipped plugin NAME into your plugins folder.

    Without NAME, list the shipped plugins.
    """
    from claude_max_proxy.cli import add_plugin

    if name is None:
        add_plugin.show()
    else:
        add_plugin.add(name, config_file)


@click.group()
def config() -> None:
    """Check, show, explain or write a proxy.toml."""


@config.command("check")
@_config
def config_check(config_file: str | None) -> None:
    """Check proxy.toml and its plugins.

    If they cannot be used, say where and why.
    """
    from claude_max_proxy.cli.configuring import check

    check(config_file)


@config.command("show")
@_config
def config_show(config_file: str | None) -> None:
    """Show the configuration in force as TOML.

    Secrets are masked, and comments say where each value comes from.
    """
    from claude_max_proxy.cli.configuring import show

    show(config_file)


@config.command("explain")
@click.argument("name", required=False)
@_config
def config_explain(name: str | None, config_file: str | None) -> None:
    """Explain a setting, or every setting of a table.

    Say what it means, which values it may have, and which value it has now. NAME is a path, as in
    `server.port`, `models.opus` or `backends.claude`, or a key alone, as in `port`. Without NAME, list the
    tables.
    """
    from claude_max_proxy.cli.explaining import explain

    explain(name, config_file)


@config.command("schema")
def config_schema() -> None:
    """Print a JSON schema of proxy.toml, for editors."""
    from claude_max_proxy.cli.configuring import schema

    schema()


@config.command("init")
@click.argument("path", default="proxy.toml")
def config_init(path: str) -> None:
    """Write an annotated proxy.toml with all the defaults."""
    from claude_max_proxy.cli.configuring import init

    init(path)


@click.command()
@_config
@click.option("--write", is_flag=True, help="Merge it into OpenClaw's configuration, and keep a backup.")
@click.option(
    "--target", metavar="FILE", help="Use this file as OpenClaw's configuration instead of looking for it."
)
@click.option(
    "--api",
    type=click.Choice(["openai-responses", "openai-completions", "anthropic-messages"]),
    help="The API that OpenClaw uses (default: the first of these that the proxy serves).",
)
@click.option(
    "--provider", default="claude-max-proxy", show_default=True, help="The provider's name in OpenClaw."
)
@click.option(
    "--key", metavar="NAME", help="The name of the API key in [server] api_keys that OpenClaw sends."
)
@click.option(
    "--default",
    "make_default",
    is_flag=True,
    help="Make the first model the default, even if another one is set.",
)
@click.option("--service/--no-service", default=True, help="Let OpenClaw start the proxy (default: yes).")
def openclaw(config_file: str | None, **options: Any) -> None:
    """Print the configuration that OpenClaw needs for this proxy.

    With --write, merge it into OpenClaw's own configuration.
    """
    from claude_max_proxy.cli.openclaw.command import Options, run

    run(Options(config_file, **options))


@click.command()
@_config
@click.option(
    "--round-trip/--no-round-trip",
    "costly",
    default=True,
    help="Ask each default model one small question, which uses a little of your plan (default: yes).",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the result as JSON, without secrets, for a bug report."
)
@click.pass_context
def doctor(context: click.Context, config_file: str | None, costly: bool, as_json: bool) -> None:
    """Check everything that the proxy needs, and say how to fix what is wrong."""
    from claude_max_proxy.cli.doctor.command import run

    context.exit(run(config_file, costly=costly, as_json=as_json))


@click.group()
def service() -> None:
    """Run the proxy in the background as long as you are logged in.

    The platform's own service manager keeps it running.
    """


_manager = click.option(
    "--manager",
    type=click.Choice(["systemd", "launchd", "windows"]),
    help="The service manager (default: the platform's own).",
)


@service.command("install")
@_config
@_manager
@click.option("--print", "show", is_flag=True, help="Show the service's file, and install nothing.")
def service_install(config_file: str | None, manager: str | None, show: bool) -> None:
    """Start the proxy now and at every login.

    This writes the file that tells the service manager to do so.
    """
    from claude_max_proxy.cli.service.command import install

    install(config_file, manager, show=show)


@service.command("uninstall")
@_manager
def service_uninstall(manager: str | None) -> None:
    """Stop the service and remove its file."""
    from claude_max_proxy.cli.service.command import uninstall

    uninstall(manager)


@service.command("status")
@_manager
@click.pass_context
def service_status(context: click.Context, manager: str | None) -> None:
    """Say whether the service is installed and running.

    The exit status is 0 if it is.
    """
    from claude_max_proxy.cli.service.command import status

    context.exit(status(manager))


@service.command("logs")
@_manager
@click.option(
    "--lines",
    "-n",
    type=click.IntRange(0),
    default=100,
    show_default=True,
    help="Show this many earlier lines first.",
)
@click.option("--follow/--no-follow", default=True, help="Keep showing new lines (default: yes).")
@click.pass_context
def service_logs(context: click.Context, manager: str | None, lines: int, follow: bool) -> None:
    """Show the service's log, and follow it."""
    from claude_max_proxy.cli.service.command import logs

    context.exit(logs(manager, lines, follow=follow))


@click.command()
@_config
@click.option(
    "--by",
    type=click.Choice(["day", "hour", "key", "model", "session", "program", "backend", "dialect", "replica"]),
    default="day",
    show_default=True,
    help="What to add up by.",
)
@click.option(
    "--since",
    default="7d",
    show_default=True,
    metavar="TIME",
    help="From this time on: 90m, 24h, 7d (today and the six days before), or 2026-11-01.",
)
@click.option("--until", metavar="TIME", help="Before this time (default: now).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with times in seconds since 1970.")
def usage(config_file: str | None, by: Any, since: str, until: str | None, *, as_json: bool) -> None:
    """Show what was used: requests, tokens, the cache's share, and what they cost by the API.

    The numbers are those of the ledger, on whose database the proxy need not be running.
    """
    from claude_max_proxy.cli.usage import run

    run(config_file, by, since, until, as_json=as_json)


@click.command()
@_config
@click.option("--watch", "-w", is_flag=True, help="Show it again every two seconds, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with times in seconds since 1970.")
@click.option("--port", "-p", type=click.IntRange(1, 65535), help="Ask at this port (default: proxy.toml's).")
@click.pass_context
def status(
    context: click.Context, config_file: str | None, watch: bool, as_json: bool, port: int | None
) -> None:
    """Show how the running proxy is: the plan's windows, processes, requests and failures."""
    from claude_max_proxy.cli.status.command import run

    context.exit(run(config_file, port, watch=watch, as_json=as_json))


@hookimpl
def register_commands(cli: click.Group) -> None:
    """Add the built-in subcommands."""
    for command in (serve, login, models, plugins, config, demo, openclaw, service, doctor, usage, status):
        cli.add_command(command)
