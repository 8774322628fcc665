"""Shell completion of names in ``proxy.toml``. It runs no code of plugins, and shows no errors."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

import click
from click.shell_completion import CompletionItem

from claude_max_proxy.config import Config, load
from claude_max_proxy.plugin.shipped import shipped
from claude_max_proxy.runtime.runtime import find_config, plugin_folders


Names = Callable[[Config], Iterator[tuple[str, str]]]
Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def completing(names: Names) -> Completer:
    """Return click's function that completes one of a configuration's ``names``, each with its help."""

    def complete(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        try:
            config = load(find_config(context.params.get("config_file")))
            found = list(names(config))
        except Exception:  # a completion cannot show an error; the command itself will
            return []
        return [CompletionItem(name, help=what) for name, what in found if name.startswith(incomplete)]

    return complete


def models(config: Config) -> Iterator[tuple[str, str]]:
    """Return the names of ``[models]`` that are not patterns, and where each leads."""
    yield from ((name, entry.to) for name, entry in config.models.items() if "*" not in name)


def backends(config: Config) -> Iterator[tuple[str, str]]:
    """Return the backends that have a CLI to log in."""
    for name, table in config.backends.items():
        if table["type"] == "claude-cli":
            yield name, "claude-cli"


def plugins(config: Config) -> Iterator[tuple[str, str]]:
    """Return the shipped plugins that can be added, and what each does."""
    folders = plugin_folders(config)
    for name, file in shipped().items():
        if not any((folder / file.name).exists() for folder in folders):
            text = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
            yield name, text.partition("\n")[0]
