"""The built-in subcommands. Each imports what it needs when it runs, so that ``--help`` is quick."""

from __future__ import annotations

from typing import Any

import click

from claude_max_proxy import hookimpl


_config = click.option(
    "--config",
    "-c",
    "config_file",
    metavar="FILE",
    help="Read this proxy.toml instead of the one that is found.",
)


@click.command()
@_config
@click.option("--host", metavar="ADDRESS", help="Listen here (default: 127.0.0.1).")
@click.option("--port", "-p", type=click.IntRange(0, 65535), help="Listen here (default: 3456; 0: any).")
@click.option("--verbose", "-v", is_flag=True, help="Log more.")
def serve(config_file: str | None, host: str | None, port: int | None, verbose: bool) -> None:
    """Serve the OpenAI API on this machine."""
    from claude_max_proxy.cli.serving import run

    run(config_file, host, port, verbose=verbose)


@click.command()
@_config
def models(config_file: str | None) -> None:
    """List the model names that clients can use."""
    from claude_max_proxy.cli.listing import list_models

    list_models(config_file)


@click.command()
@click.option("--prompt", default="Tell me what just happened.", help="What to say to the model.")
def demo(prompt: str) -> None:
    """Show one chat through the real CLI with no account: a scripted provider answers."""
    from claude_max_proxy.cli.demonstration import run

    run(prompt)


@click.group(invoke_without_command=True)
@_config
@click.pass_context
def plugins(context: click.Context, config_file: str | None) -> None:
    """List the plugins, add one that comes along, or make a new one."""
    if context.invoked_subcommand is None:
        from claude_max_proxy.cli.listing import list_plugins

        list_plugins(config_file)


@plugins.command("new")
@click.argument("name")
@click.option("--folder", default="plugins", show_default=True, help="Write it here.")
def new_plugin(name: str, folder: str) -> None:
    """Write a working plugin NAME and its test."""
    from claude_max_proxy.cli.new_plugin import write

    write(name, folder)


@plugins.command("add")
@click.argument("name", required=False)
@_config
def add_plugin(name: str | None, config_file: str | None) -> None:
    """Put the plugin NAME, one of those that come along, into your folder; without NAME, list them."""
    from claude_max_proxy.cli import add_plugin

    if name is None:
        add_plugin.show()
    else:
        add_plugin.add(name, config_file)


@click.group()
def config() -> None:
    """Check, show, describe or begin a proxy.toml."""


@config.command("check")
@_config
def config_check(config_file: str | None) -> None:
    """Say whether proxy.toml and its plugins can be used, and if not, where and why."""
    from claude_max_proxy.cli.configuring import check

    check(config_file)


@config.command("show")
@_config
def config_show(config_file: str | None) -> None:
    """Show the configuration in force as TOML, secrets masked, and where each value comes from."""
    from claude_max_proxy.cli.configuring import show

    show(config_file)


@config.command("schema")
def config_schema() -> None:
    """Print a JSON schema of proxy.toml, for editors."""
    from claude_max_proxy.cli.configuring import schema

    schema()


@config.command("init")
@click.argument("path", default="proxy.toml")
def config_init(path: str) -> None:
    """Write an annotated proxy.toml that says the defaults."""
    from claude_max_proxy.cli.configuring import init

    init(path)


@click.command()
@_config
@click.option("--write", is_flag=True, help="Merge it into OpenClaw's configuration, after a backup.")
@click.option("--target", metavar="FILE", help="OpenClaw's configuration, instead of the one that is found.")
@click.option(
    "--api",
    type=click.Choice(["openai-responses", "openai-completions", "anthropic-messages"]),
    help="How OpenClaw asks (default: the first of these that is served).",
)
@click.option("--provider", default="claude-max-proxy", show_default=True, help="The provider's name there.")
@click.option("--key", metavar="NAME", help="The name of the API key in [server] api_keys that it shows.")
@click.option("--default", "make_default", is_flag=True, help="Use the first model, also where one is set.")
@click.option("--service/--no-service", default=True, help="Let OpenClaw start the proxy (default: yes).")
def openclaw(config_file: str | None, **options: Any) -> None:
    """Print what OpenClaw has to be told to use this proxy, or tell it with --write."""
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
    "--json", "as_json", is_flag=True, help="Print it as JSON, for a bug report: no secrets are in it."
)
@click.pass_context
def doctor(context: click.Context, config_file: str | None, costly: bool, as_json: bool) -> None:
    """Look at everything the proxy needs, and say what to do about what is wrong."""
    from claude_max_proxy.cli.doctor.command import run

    context.exit(run(config_file, costly=costly, as_json=as_json))


@click.group()
def service() -> None:
    """Run the proxy in the background, kept by the platform's own service manager."""


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
    """Write the service's file, start the proxy now, and with every login."""
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
    """Say whether the service is installed and runs; the exit status is 0 if it does."""
    from claude_max_proxy.cli.service.command import status

    context.exit(status(manager))


@service.command("logs")
@_manager
@click.option(
    "--lines", "-n", type=click.IntRange(0), default=100, show_default=True, help="Begin with so many."
)
@click.option("--follow/--no-follow", default=True, help="Go on with what is added (default: yes).")
@click.pass_context
def service_logs(context: click.Context, manager: str | None, lines: int, follow: bool) -> None:
    """Show the service's log, and follow it."""
    from claude_max_proxy.cli.service.command import logs

    context.exit(logs(manager, lines, follow=follow))


@hookimpl
def register_commands(cli: click.Group) -> None:
    """Add the built-in subcommands."""
    for command in (serve, models, plugins, config, demo, openclaw, service, doctor):
        cli.add_command(command)
