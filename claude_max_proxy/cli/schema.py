"""The JSON schema of ``proxy.toml``, made from the structs that read it."""

from __future__ import annotations

from typing import Any

import msgspec

from claude_max_proxy.config import ModelEntry, PluginPolicy, PluginsConfig, ServerConfig
from claude_max_proxy.plugins import Plugins, load_built_ins
from claude_max_proxy.runtime import backend_types


def config_schema() -> dict[str, Any]:
    """Return the schema: the fixed tables, a backend's table by its type, a plugin's policy."""
    types = backend_types(Plugins(load_built_ins(), PluginsConfig()))
    structs = [ServerConfig, ModelEntry, PluginPolicy, *(struct for struct, _ in types.values())]
    (server, model, policy, *backends), components = msgspec.json.schema_components(
        structs, ref_template="#/$defs/{name}"
    )
    plugins = {"type": {"type": "string", "not": {"enum": list(types)}}}  # what drop-ins and packages offer
    for definition, name in zip(backends, types, strict=True):
        components[definition["$ref"].rpartition("/")[2]]["properties"]["type"] = {"const": name}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "proxy.toml of claude-max-proxy",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "server": server,
            "models": {"type": "object", "additionalProperties": {"anyOf": [{"type": "string"}, model]}},
            "backends": {
                "type": "object",
                "additionalProperties": {
                    "anyOf": [*backends, {"type": "object", "properties": plugins, "required": ["type"]}]
                },
            },
            "plugins": {
                "type": "object",
                "properties": {
                    "paths": {"type": "array", "items": {"type": "string"}, "default": ["plugins"]},
                    "order": {"type": "array", "items": {"type": "string"}, "default": []},
                },
                "additionalProperties": {**_open(policy, components), "description": "a plugin's own table"},
            },
        },
        "$defs": components,
    }


def _open(policy: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    """A plugin's table holds the policy and the plugin's own keys."""
    definition = dict(components[policy["$ref"].rpartition("/")[2]])
    definition["additionalProperties"] = True
    return definition
