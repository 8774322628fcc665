"""``proxy.toml`` as typed values: what it may contain, its defaults, and errors that suggest what was meant.

The tables of backends and plugins are not converted here. Their owners do that with :func:`convert` and their
own structs, so that all errors name the whole path of a setting, and suggest the nearest known name.
"""

from msgspec import Meta

from claude_max_proxy.config.converting import convert, quoted
from claude_max_proxy.config.locating import locate, located
from claude_max_proxy.config.near_misses import near_miss
from claude_max_proxy.config.problems import Problems
from claude_max_proxy.config.reading import (
    DEFAULT_MODELS,
    holds_nothing,
    load,
    parse,
    read_table,
    read_text,
    split_policy,
)
from claude_max_proxy.config.server_config import ApiKey, ServerConfig
from claude_max_proxy.config.settings import Count, Seconds, Settings
from claude_max_proxy.config.shared_config import SharedConfig
from claude_max_proxy.config.structs import (
    BackendTable,
    Config,
    ModelEntry,
    PluginPolicy,
    PluginsConfig,
)


__all__ = [
    "DEFAULT_MODELS",
    "ApiKey",
    "BackendTable",
    "Config",
    "Count",
    "Meta",
    "ModelEntry",
    "PluginPolicy",
    "PluginsConfig",
    "Problems",
    "Seconds",
    "ServerConfig",
    "Settings",
    "SharedConfig",
    "convert",
    "holds_nothing",
    "load",
    "locate",
    "located",
    "near_miss",
    "parse",
    "quoted",
    "read_table",
    "read_text",
    "split_policy",
]
