"""``claude-max-proxy models`` and ``claude-max-proxy plugins``: list what there is, and its origin."""

from __future__ import annotations

from collections.abc import Collection

import click
import msgspec

from claude_max_proxy import ConfigError
from claude_max_proxy.cli.plugin_commands import commands_of
from claude_max_proxy.cli.table import print_table
from claude_max_proxy.config import DEFAULT_MODELS, ModelEntry, load, near_miss
from claude_max_proxy.formats.quoting import plain_lines
from claude_max_proxy.gateway.model_map import line_for, meaning, resolve
from claude_max_proxy.plugin.plugin import Plugin
from claude_max_proxy.runtime.runtime import Runtime, find_config, load_plugins


def list_models(config_file: str | None, name: str | None = None) -> None:
    """Print each name with its backend, upstream model, context window and settings, and who defines it.

    With a ``name``, print what it means, also if it is a pattern that stands for it. Raises
    :class:`ConfigError` for one that clients cannot use.
    """
    runtime = Runtime(load(find_config(config_file)))
    names = runtime.config.models if name is None else [name]
    rows = [_model(one, runtime) for one in names]
    print_table(("MODEL", "BACKEND", "UPSTREAM MODEL", "CONTEXT", "SETS", "DEFINED IN"), rows)


def _model(name: str, runtime: Runtime) -> tuple[str, ...]:
    models = runtime.config.models
    line = name if name in models else line_for(name, runtime.config)
    target = meaning(name, runtime.config) if name in models else resolve(name, runtime.config)
    if line is None or target is None:
        raise ConfigError(f"no line of [models] stands for {name!r}{near_miss(name, models)}")

    entry = models[line]
    window = runtime.backends[target.backend].describe(target.model).context_window
    built_in = DEFAULT_MODELS.get(line) == entry.to and not _settings(entry)
    return (
        name,
        target.backend,
        target.model,
        f"{window:,}" if window else "",
        _settings(entry),
        "built in" if built_in else str(runtime.config.source),
    )


def list_plugins(config_file: str | None, built_in: Collection[str]) -> None:
    """Print each plugin with its origin, its hooks, its settings, and what is wrong with it."""
    plugins = load_plugins(load(find_config(config_file)))
    rows = [
        (plugin.name, _state(plugin), plugin.origin, " ".join(plugins.hooks(plugin)), _own(plugin))
        for plugin in plugins.found
    ]
    print_table(("PLUGIN", "STATE", "ORIGIN", "HOOKS", "SETTINGS"), rows)
    for plugin in plugins.found:
        if plugin.problem:
            click.echo(f"\n{plain_lines(plugin.problem)}")
    if names := sorted(commands_of(plugins, built_in)):
        click.echo(f"\ncommands of plugins: {', '.join(names)}")


def _settings(entry: ModelEntry) -> str:
    words = [
        f"effort={entry.effort}" if entry.effort else "",
        f"max_tokens={entry.max_tokens}" if entry.max_tokens else "",
        f"temperature={entry.temperature}" if entry.temperature != "auto" else "",
        "system" if entry.system else "",
        "agent" if entry.agent else "",
        "hidden" if entry.hidden else "",
        f"fallback={','.join(entry.fallback)}" if entry.fallback else "",
    ]
    return " ".join(filter(None, words))


def _state(plugin: Plugin) -> str:
    if plugin.problem:
        return "broken"
    return "on" if plugin.policy.enabled else "off"


def _own(plugin: Plugin) -> str:
    """Return the names of settings that differ from their defaults; a value may be a secret."""
    if plugin.settings is None:
        return ""
    names = msgspec.structs.asdict(plugin.settings)
    defaults = type(plugin.settings)() if not _required(type(plugin.settings)) else None
    changed = [name for name, value in names.items() if getattr(defaults, name, None) != value]
    return " ".join(changed) or "defaults"


def _required(struct: type[msgspec.Struct]) -> bool:
    return any(field.required for field in msgspec.structs.fields(struct))
