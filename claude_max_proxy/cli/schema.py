"""Makes the JSON schema of ``proxy.toml`` from the structs that read it, and from their descriptions."""

from __future__ import annotations

from typing import Any

import msgspec

from claude_max_proxy.config import (
    BackendTable,
    ModelEntry,
    PluginPolicy,
    PluginsConfig,
    ServerConfig,
    SharedConfig,
)
from claude_max_proxy.config.descriptions import settings_of
from claude_max_proxy.plugin.plugins import Plugins, load_built_ins
from claude_max_proxy.runtime.building import backend_types


_Schema = dict[str, Any]


def config_schema() -> _Schema:
    """Return the schema: the fixed tables, a backend's table for each type, and plugins' tables."""
    built_ins = Plugins(load_built_ins(), PluginsConfig())
    types = backend_types(built_ins)
    own = {one.name: type(one.settings) for one in built_ins.found if one.settings is not None}
    structs: list[type[msgspec.Struct]] = [
        ServerConfig,
        SharedConfig,
        ModelEntry,
        PluginPolicy,
        PluginsConfig,
    ]
    structs += [*own.values(), *(struct for struct, _ in types.values())]
    (server, shared, model, policy, plugins, *others), components = msgspec.json.schema_components(
        structs, ref_template="#/$defs/{name}"
    )
    tables, backends = others[: len(own)], others[len(own) :]
    for reference, name in zip(backends, types, strict=True):
        _definition(reference, components)["properties"]["type"] = {**_TYPE, "const": name}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "proxy.toml of claude-max-proxy",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "server": server,
            "shared": shared,
            "models": {"type": "object", "additionalProperties": {"anyOf": [{"type": "string"}, model]}},
            "backends": _backends(backends, list(types)),
            "plugins": _plugins(plugins, policy, dict(zip(own, tables, strict=True)), components),
        },
        "$defs": components,
    }


_TYPE = {"description": settings_of(BackendTable)[0].description}


def _backends(known: list[_Schema], types: list[str]) -> _Schema:
    """Return the schema of a backend's table: of a known type, or of one that a plugin offers."""
    other = {
        "type": "object",
        "properties": {"type": {**_TYPE, "type": "string", "not": {"enum": types}}},
        "required": ["type"],
    }
    return {"type": "object", "additionalProperties": {"anyOf": [*known, other]}}


def _plugins(
    config: _Schema, policy: _Schema, tables: dict[str, _Schema], components: dict[str, Any]
) -> _Schema:
    """Return the schema of ``[plugins]``: a strict table for each built-in plugin, any table for others."""
    common = _definition(policy, components)
    schema = components.pop(config["$ref"].rpartition("/")[2])
    del schema["properties"]["tables"]  # the plugins' tables themselves
    schema["properties"]["paths"]["default"] = PluginsConfig().paths  # msgspec leaves this default out
    for name, reference in tables.items():
        definition = components.pop(reference["$ref"].rpartition("/")[2])
        definition["properties"] = {**definition["properties"], **common["properties"]}
        schema["properties"][name] = definition
    open_ = {**common, "additionalProperties": True}
    return {**schema, "additionalProperties": {**open_, "description": "A plugin's own table."}}


def _definition(reference: _Schema, components: dict[str, Any]) -> Any:
    return components[reference["$ref"].rpartition("/")[2]]
