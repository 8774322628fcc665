"""The tables of ``proxy.toml`` as typed values, with their defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from claude_max_proxy.config.replica import name_of_this_host
from claude_max_proxy.config.server_config import ServerConfig
from claude_max_proxy.config.settings import Count, Seconds, Settings
from claude_max_proxy.config.shared_config import SharedConfig
from claude_max_proxy.request import Agent, Effort


class ModelEntry(Settings, frozen=True):
    """The long form of one line of ``[models]``: where a model name leads, and what it sets."""

    to: Annotated[
        str,
        Meta(
            description="Where the name leads: the backend, a slash, and the backend's name for the model, "
            "as in `claude/opus`. It may also be another name of `[models]`."
        ),
    ]
    fallback: Annotated[
        list[str],
        Meta(
            description="What to ask, in this order, when the models before it fail before their first word. "
            "Each is written like `to`. Empty means that the failure is the answer."
        ),
    ] = []
    hidden: Annotated[
        bool, Meta(description="Leave the name out of the list of models. Clients can use it all the same.")
    ] = False
    effort: Annotated[
        Effort | None,
        Meta(
            description="How much the model thinks: `none`, `minimal`, `low`, `medium`, `high`, `xhigh` or "
            "`max`. It applies to requests that do not say so themselves. Unset leaves it to the model."
        ),
    ] = None
    max_tokens: Annotated[
        Count | None,
        Meta(
            description="The limit on an answer's length, in tokens. It applies to requests that do not set "
            "one themselves. Unset leaves it to the backend."
        ),
    ] = None
    system: Annotated[
        str,
        Meta(
            description="Instructions that are put before the client's own system prompt. Empty adds nothing."
        ),
    ] = ""
    temperature: Annotated[
        Literal["auto", "forward", "ignore"],
        Meta(
            description="What becomes of a request's `temperature` and `top_p`. `auto` sends them to models "
            "that do not think, `forward` always sends them and turns thinking off, `ignore` never sends "
            "them."
        ),
    ] = "auto"
    agent: Annotated[
        Agent | None,
        Meta(
            description="Lets Claude Code's own agent answer, with its own tools in a directory of this "
            "machine. Without it a model has no tools but the client's."
        ),
    ] = None


class BackendTable(Settings, frozen=True):
    """The setting that every backend's table holds in addition to those of its type."""

    type: Annotated[
        str,
        Meta(
            description="What kind of backend this is: `claude-cli`, `openai`, `anthropic`, or a type that a "
            "plugin offers. It decides which other settings there are."
        ),
    ]


class PluginPolicy(Settings, frozen=True):
    """The settings that every plugin's table may hold in addition to the plugin's own."""

    enabled: Annotated[bool, Meta(description="Whether the plugin is used.")] = True
    timeout: Annotated[
        Seconds,
        Meta(
            description="How many seconds one call of a hook may take. It applies to `async` hooks, to hooks "
            "on threads, and to `register_*` hooks."
        ),
    ] = 5.0
    on_error: Annotated[
        Literal["skip", "fail"],
        Meta(
            description="What happens to a request when one of the plugin's hooks fails: with `skip` it goes "
            "on without the hook, with `fail` it ends in an error."
        ),
    ] = "skip"
    thread: Annotated[
        bool,
        Meta(
            description="Whether the plugin's `def` hooks are called on threads of their own, so that they "
            "may block."
        ),
    ] = False


class PluginsConfig(Settings, frozen=True):
    """Where plugins are found, and in which order they are asked."""

    paths: Annotated[
        list[str],
        Meta(
            description="The folders with plugin files. A relative path starts at the folder of `proxy.toml`."
            " Nobody but you may be able to write to these folders."
        ),
    ] = msgspec.field(default_factory=lambda: ["plugins"])
    order: Annotated[
        list[str],
        Meta(
            description="The names of plugins that are asked before all others, in this order. The others "
            "follow: plugin files, installed packages, and the proxy's own."
        ),
    ] = []
    tables: Annotated[
        dict[str, dict[str, Any]],
        Meta(description="Each plugin's own table, `[plugins.NAME]`. This is not a key of its own."),
    ] = {}


class Config(Settings, frozen=True):
    """All of ``proxy.toml``. ``source`` is the file it came from, ``None`` for the defaults alone."""

    server: ServerConfig = ServerConfig()
    shared: SharedConfig = SharedConfig()
    models: dict[str, ModelEntry] = {}
    backends: dict[str, dict[str, Any]] = {}
    plugins: PluginsConfig = PluginsConfig()
    source: Path | None = None

    def __post_init__(self) -> None:
        """Name a proxy that shares something by its host: it is one of several."""
        if self.shared.url and not self.server.replica:
            server = msgspec.structs.replace(self.server, replica=name_of_this_host())
            msgspec.structs.force_setattr(self, "server", server)
