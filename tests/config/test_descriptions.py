"""Settings describe themselves: their purpose, their possible values, and their default."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import NODEFAULT, Meta, inspect

from claude_max_proxy import Agent
from claude_max_proxy.config import (
    ApiKey,
    BackendTable,
    Count,
    ModelEntry,
    PluginPolicy,
    PluginsConfig,
    Seconds,
    ServerConfig,
    Settings,
    parse,
)
from claude_max_proxy.config.descriptions import Setting, settings_of
from claude_max_proxy.runtime.building import backend_types
from claude_max_proxy.runtime.runtime import Runtime


ROOT = Path(__file__).parents[2]


class Inner(Settings, frozen=True):
    """A table in a table."""

    size: Count | None = None


class Every(Settings, frozen=True):
    """A setting of each type."""

    needed: str
    text: Annotated[str, Meta(min_length=1, description="What it is for.")] = "some"
    flag: bool = False
    number: int = 3
    share: Annotated[float, Meta(ge=0, lt=1)] = 0.5
    port: Annotated[int, Meta(ge=0, le=65535)] = 80
    wait: Annotated[Seconds, Meta(description="How many seconds.")] = 5.0
    most: Count | None = None
    word: Literal["low", "high", "all"] = "high"
    maybe: Annotated[Literal["on", "off"] | None, Meta(description="Perhaps.")] = None
    only: Literal["a"] = "a"
    words: list[str] = []
    command: str | list[str] = msgspec.field(default_factory=lambda: ["x", "y"])
    choices: tuple[Literal["p", "q"], ...] = ()
    tables: dict[str, Inner] = {}
    inner: Inner = Inner(size=4)
    counts: dict[str, Count] = {}
    keys: dict[str, str | Inner] = {}
    whatever: dict[str, Any] = {}
    bare: dict = {}  # type: ignore[type-arg]
    renamed: int = msgspec.field(name="re-named", default=0)


@pytest.mark.parametrize(
    ("name", "type_", "default"),
    [
        ("needed", "string", "required"),
        ("text", "string", '"some"'),
        ("flag", "boolean", "false"),
        ("number", "integer", "3"),
        ("share", "number, at least 0, below 1", "0.5"),
        ("port", "integer, 0 to 65535", "80"),
        ("wait", "seconds, above 0", "5.0"),
        ("most", "integer, at least 1", "unset"),
        ("word", '"low", "high" or "all"', '"high"'),
        ("maybe", '"on" or "off"', "unset"),
        ("only", '"a"', '"a"'),
        ("words", "array of strings", "[]"),
        ("command", "string or array of strings", '["x", "y"]'),
        ("choices", 'array of "p" or "q"', "[]"),
        ("tables", "table of tables", "{}"),
        ("inner", "table", "{ size = 4 }"),
        ("counts", "table of integers", "{}"),
        ("keys", "table of strings or tables", "{}"),
        ("whatever", "table of values", "{}"),
        ("bare", "table", "{}"),
        ("re-named", "integer", "0"),
    ],
)
def test_types_and_defaults(name: str, type_: str, default: str) -> None:
    """A type is described in TOML's words, with its bounds, and a default as TOML writes it."""
    found = {one.name: one for one in settings_of(Every)}[name]
    assert (found.type, found.written_default) == (type_, default)


def test_descriptions() -> None:
    """The description is that of the key itself; a key without one has an empty description."""
    found = {one.name: one.description for one in settings_of(Every)}
    assert found["text"] == "What it is for."
    assert found["wait"] == "How many seconds."
    assert found["needed"] == found["most"] == ""


def test_a_required_key() -> None:
    """A required setting has no default."""
    assert settings_of(Every)[0] == Setting("needed", "", "string", NODEFAULT)


# --- what is shipped


def structs() -> Iterator[type[msgspec.Struct]]:
    """Return every table that the proxy itself and the shipped plugins read, including nested ones."""
    runtime = Runtime(parse({"plugins": {"paths": [str(ROOT / "plugins")]}}, None))
    yield from (ServerConfig, ApiKey, ModelEntry, Agent, BackendTable, PluginPolicy, PluginsConfig)
    yield from (struct for struct, _ in backend_types(runtime.plugins).values())
    yield from (type(one.settings) for one in runtime.plugins.found if one.settings is not None)


def inside(type_: object) -> Iterator[type[msgspec.Struct]]:
    """Return the structs that a type contains, however deep."""
    match type_:
        case inspect.StructType(cls=cls, fields=fields):
            yield cls
            for field in fields:
                yield from inside(field.type)
        case inspect.Metadata(type=inner):
            yield from inside(inner)
        case inspect.UnionType(types=types):
            for one in types:
                yield from inside(one)
        case inspect.ListType(item_type=inner) | inspect.VarTupleType(item_type=inner):
            yield from inside(inner)
        case inspect.DictType(value_type=inner):
            yield from inside(inner)


def described() -> list[Any]:
    """Return each setting once, as a parameter of a test."""
    found = dict.fromkeys(one for struct in structs() for one in inside(inspect.type_info(struct)))
    return [
        pytest.param(setting, id=f"{struct.__module__.rpartition('.')[2]}-{struct.__name__}-{setting.name}")
        for struct in found
        for setting in settings_of(struct)
    ]


def test_all_of_them_are_looked_at() -> None:
    """Shipped plugins and nested tables are included."""
    names = {parameter.id for parameter in described()}
    assert {"settings-ModelFacts-owner", "request-Agent-tools", "server_config-ApiKey-models"} <= names
    assert sum("-Settings-" in name for name in names) >= 10


@pytest.mark.parametrize("setting", described())
def test_every_setting_is_described(setting: Setting) -> None:
    """Every setting has a description in whole sentences, with the unit of a time, of bytes and of tokens."""
    text = setting.description
    assert re.fullmatch(r"[A-Z`].*[.)]", text), "say what it is for, in whole sentences"
    assert len(text) > 20
    for unit in ("seconds", "bytes", "tokens"):
        if setting.type.startswith(unit) or unit in setting.name:
            assert unit.removesuffix("s") in text.lower()
