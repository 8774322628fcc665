"""What the views Models and Setup show, as values. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from claude_max_proxy import ModelEntry
from claude_max_proxy.backend import ModelInfo


SAMPLE_TOOLS = json.dumps(
    [
        {
            "type": "function",
            "function": {
                "name": "get_weather",
                "description": "Return the weather at a place.",
                "parameters": {
                    "type": "object",
                    "properties": {"place": {"type": "string"}},
                    "required": ["place"],
                },
            },
        }
    ],
    indent=2,
)


class ModelRow(msgspec.Struct, frozen=True):
    """A model on offer."""

    name: str
    target: str
    context: int | None
    output: int | None
    takes: str
    efforts: str


class Table(msgspec.Struct, frozen=True):
    """A table of the configuration, each value as JSON writes it."""

    name: str
    values: list[tuple[str, str]]


def model_rows(models: Mapping[str, ModelInfo], entries: Mapping[str, ModelEntry]) -> list[ModelRow]:
    """Return the models on offer, with where each leads."""
    return [
        ModelRow(
            name=name,
            target=_target(info, entries.get(name)),
            context=info.context_window,
            output=info.max_output_tokens,
            takes=", ".join(info.input_modalities) or "–",
            efforts=", ".join(info.efforts),
        )
        for name, info in models.items()
    ]


def _target(info: ModelInfo, entry: ModelEntry | None) -> str:
    if entry is None:
        return "/".join(filter(None, (info.owner, info.name)))
    return ", then ".join([entry.to, *entry.fallback])


def chosen(asked_for: str, names: list[str]) -> str:
    """Return the model that a chat begins with."""
    if asked_for:
        return asked_for
    return next((name for name in names if "sonnet" in name), names[0] if names else "")


def config_tables(found: Mapping[str, Mapping[str, Any]]) -> list[Table]:
    """Return the tables of the configuration."""
    return [
        Table(name, [(key, _written(value)) for key, value in table.items()]) for name, table in found.items()
    ]


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
