"""``claude-max-proxy plugins add NAME``: copies a shipped plugin to where the proxy loads it."""

from __future__ import annotations

import ast
from pathlib import Path

import click

from claude_max_proxy import ConfigError
from claude_max_proxy.cli.table import print_table
from claude_max_proxy.config import load, near_miss
from claude_max_proxy.plugin.shipped import shipped
from claude_max_proxy.runtime.runtime import find_config, plugin_folders


def show() -> None:
    """Print the shipped plugins, and what each is for."""
    files = shipped()
    rows = [
        (name, (ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "")) for name, file in files.items()
    ]
    print_table(("PLUGIN", "WHAT IT DOES"), [(name, text.splitlines()[0]) for name, text in rows])


def add(name: str, config_file: str | None) -> None:
    """Copy a shipped plugin into the first folder of ``[plugins] paths``.

    Raises :class:`ConfigError` for an unknown name, or if the file exists already.
    """
    files = shipped()
    if name not in files:
        raise ConfigError(f"no shipped plugin is called {name!r}{near_miss(name, files)}")

    folder = first_folder(config_file)
    path = folder / f"{name}.py"
    text = files[name].read_text("utf-8")
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
        path.chmod(0o644)
    except FileExistsError as error:
        raise ConfigError(f"{path} already exists") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
    click.echo(f"wrote {path}; a running proxy uses it within a second")


def first_folder(config_file: str | None) -> Path:
    """Return the first folder of ``[plugins] paths``, or raise :class:`ConfigError` if it names none."""
    folders = plugin_folders(load(find_config(config_file)))
    if not folders:
        raise ConfigError("[plugins] paths names no folder for plugins")
    return folders[0]
