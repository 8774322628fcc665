"""``claude-max-proxy config``: check, show, schema, init."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import click

from claude_max_proxy import ConfigError
from claude_max_proxy.cli.annotated import annotated
from claude_max_proxy.cli.effective import shown, source, tables
from claude_max_proxy.cli.schema import config_schema
from claude_max_proxy.cli.sockets import tls_options
from claude_max_proxy.config import load, quoted, read_table
from claude_max_proxy.config.toml_text import inline
from claude_max_proxy.runtime.runtime import Runtime, find_config
from claude_max_proxy.server.examining import everything
from claude_max_proxy.server.guards import check_reach
from claude_max_proxy.server.keys import Keys


def check(config_file: str | None) -> None:
    """Read and build the configuration, and print that it works.

    Raises :class:`ConfigError` with the line of what is wrong, if it is known.
    """
    path = find_config(config_file)
    runtime = build(path)
    if broken := [plugin.problem for plugin in runtime.plugins.found if plugin.problem]:
        raise ConfigError(*broken)
    counts = f"{len(runtime.config.models)} models, {len(runtime.backends)} backends"
    click.echo(f"{path or 'the defaults'}: ok: {counts}, {len(list(runtime.plugins))} plugins")


def build(path: Path | None) -> Runtime:
    """Return the runtime for the configuration at ``path``, without starting it.

    Raises :class:`ConfigError` that names every mistake, each with its line.
    """
    try:
        runtime = Runtime(load(path))
        check_reach(runtime.config.server)
        tls_options(runtime.config.server)
        Keys(runtime.config.server.api_keys, runtime.rates)
    except ConfigError as error:
        raise everything(error, partial(load, path), tls_options) from error
    return runtime


def show(config_file: str | None) -> None:
    """Print the effective configuration, each line with where it comes from."""
    path = find_config(config_file)
    runtime = Runtime(load(path))
    written = read_table(path)
    for table, values in tables(runtime):
        click.echo(f"[{'.'.join(map(quoted, table))}]")
        for name, value in values.items():
            visible = value if table == ("models",) else shown(name, value)
            click.echo(f"{quoted(name)} = {inline(visible)}  # {source(written, [*table, name], path)}")
        click.echo()


def schema() -> None:
    """Print the JSON schema."""
    click.echo(json.dumps(config_schema(), indent=2))


def init(path_: str) -> None:
    """Write the annotated file. Raises :class:`ConfigError` if the file exists already."""
    path = Path(path_)
    text = annotated()
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise ConfigError(f"{path} already exists; choose another name, or remove it first") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
    click.echo(
        f"wrote {path}; every line in it states a default. Check changes with: claude-max-proxy config check"
    )
