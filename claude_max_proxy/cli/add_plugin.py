"""``claude-max-proxy plugins add NAME``: one of the plugins that come along, put where the proxy loads it."""

from __future__ import annotations

import ast
from pathlib import Path

import click

from claude_max_proxy import ConfigError
from claude_max_proxy.cli.table import print_table
from claude_max_proxy.config import load, near_miss
from claude_max_proxy.runtime import find_config, plugin_folders


def show() -> None:
    """List the plugins that come along, and what each is for."""
    files = sorted(_shipped().glob("*.py"))
    rows = [(file.stem, (ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "")) for file in files]
    print_table(("PLUGIN", "WHAT IT DOES"), [(name, text.splitlines()[0]) for name, text in rows])


def add(name: str, config_file: str | None) -> None:
    """Copy a plugin into the first folder of ``[plugins] paths``; refuse to overwrite one."""
    shipped = {file.stem: file for file in _shipped().glob("*.py")}
    if name not in shipped:
        raise ConfigError(f"no plugin {name!r} comes along{near_miss(name, shipped)}")

    folders = plugin_folders(load(find_config(config_file)))
    if not folders:
        raise ConfigError("[plugins] paths names no folder to put it into")
    path = folders[0] / f"{name}.py"
    text = shipped[name].read_text("utf-8")
    try:
        folders[0].mkdir(mode=0o755, parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
        path.chmod(0o644)
    except FileExistsError as error:
        raise ConfigError(f"{path} is there already") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
    click.echo(f"{path} is written; a proxy that runs has it live within a second")


def _shipped() -> Path:
    """Find the plugins that are shipped: in the package, or at the root of a checkout."""
    here = Path(__file__).parent
    for folder in (here / "shipped", here.parents[1] / "plugins"):
        if folder.is_dir():
            return folder

    raise ConfigError("this installation lacks the plugins that come along")
