"""``claude-max-proxy models`` and ``claude-max-proxy plugins``: what there is, and where it comes from."""

from __future__ import annotations

import click
import msgspec

from claude_max_proxy.cli.table import print_table
from claude_max_proxy.config import DEFAULT_MODELS, ModelEntry, load
from claude_max_proxy.models import meaning
from claude_max_proxy.plugin import Plugin
from claude_max_proxy.runtime import Runtime, find_config, load_plugins


def list_models(config_file: str | None) -> None:
    """Print each name: its backend and upstream model, context window, settings, and where it was defined."""
    runtime = Runtime(load(find_config(config_file)))
    rows = []
    for name, entry in runtime.config.models.items():
        target = meaning(name, runtime.config)
        window = runtime.backends[target.backend].describe(target.model).context_window
        built_in = DEFAULT_MODELS.get(name) == entry.to and not _settings(entry)
        rows.append(
            (
                name,
                target.backend,
                target.model,
                f"{window:,}" if window else "",
                _settings(entry),
                "built in" if built_in else str(runtime.config.source),
            )
        )
    print_table(("MODEL", "BACKEND", "UPSTREAM MODEL", "CONTEXT", "SETS", "DEFINED IN"), rows)


def list_plugins(config_file: str | None) -> None:
    """Print each plugin: its origin, the hooks it implements, its settings, and what is wrong with it."""
    plugins = load_plugins(load(find_config(config_file)))
    rows = [
        (plugin.name, _state(plugin), plugin.origin, " ".join(plugins.hooks(plugin)), _own(plugin))
        for plugin in plugins.found
    ]
    print_table(("PLUGIN", "STATE", "ORIGIN", "HOOKS", "SETTINGS"), rows)
    for plugin in plugins.found:
        if plugin.problem:
            click.echo(f"\n{plugin.problem}")


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
    """Name the settings that differ from their defaults, never their values: one may be a secret."""
    if plugin.settings is None:
        return ""
    names = msgspec.structs.asdict(plugin.settings)
    defaults = type(plugin.settings)() if not _required(type(plugin.settings)) else None
    changed = [name for name, value in names.items() if getattr(defaults, name, None) != value]
    return " ".join(changed) or "defaults"


def _required(struct: type[msgspec.Struct]) -> bool:
    return any(field.required for field in msgspec.structs.fields(struct))
