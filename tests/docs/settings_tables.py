"""The tables of ``docs/configuration.md``: every setting, its default and its description."""

from __future__ import annotations

import msgspec

from claude_max_proxy import Agent
from claude_max_proxy.backends.anthropic_api.settings import AnthropicApiSettings
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings
from claude_max_proxy.backends.local_embeddings.settings import LocalEmbeddingsSettings
from claude_max_proxy.backends.openai_api.settings import OpenAIApiSettings
from claude_max_proxy.config import (
    ApiKey,
    ModelEntry,
    PluginPolicy,
    PluginsConfig,
    ServerConfig,
    SharedConfig,
)
from claude_max_proxy.config.descriptions import Setting, settings_of
from claude_max_proxy.dialects.openai_responses import Settings as ResponsesSettings
from claude_max_proxy.http_upstream import HttpSettings
from claude_max_proxy.http_upstream.settings import ModelFacts
from claude_max_proxy.observers.budgets.settings import Budget
from claude_max_proxy.observers.budgets.settings import Settings as BudgetSettings
from claude_max_proxy.observers.meter import Settings as MeterSettings
from claude_max_proxy.observers.page import Settings as PageSettings
from claude_max_proxy.observers.traces import Settings as TracesSettings


TABLES: dict[str, type[msgspec.Struct]] = {
    "server": ServerConfig,
    "api_keys": ApiKey,
    "shared": SharedConfig,
    "models": ModelEntry,
    "agent": Agent,
    "claude-cli": ClaudeCliSettings,
    "http": HttpSettings,
    "http.models": ModelFacts,
    "openai": OpenAIApiSettings,
    "anthropic": AnthropicApiSettings,
    "local-embeddings": LocalEmbeddingsSettings,
    "plugins": PluginsConfig,
    "plugins.NAME": PluginPolicy,
    "meter": MeterSettings,
    "budgets": BudgetSettings,
    "budgets.NAME": Budget,
    "page": PageSettings,
    "openai_responses": ResponsesSettings,
    "traces": TracesSettings,
}


def table(name: str) -> str:
    """Write the table of a struct, without what another table of the page has."""
    rows = ["| key | default | meaning |", "|---|---|---|"]
    return "\n".join([*rows, *map(_row, own_settings(TABLES[name]))])


def own_settings(struct: type[msgspec.Struct]) -> list[Setting]:
    """Return the settings that a table of the page lists; those of all HTTP backends are listed once."""
    shared = settings_of(HttpSettings) if struct is not HttpSettings else []
    return [one for one in settings_of(struct) if one not in shared and one.name != "tables"]


def _row(setting: Setting) -> str:
    default = setting.written_default
    shown = default if default in {"required", "unset"} else f"`{default}`"
    return f"| `{setting.name}` | {shown} | {setting.description.replace('|', chr(92) + '|')} |"
