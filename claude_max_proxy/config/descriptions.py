"""Reads from the structs what each setting is for, what it may contain, and its default. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import NODEFAULT

from claude_max_proxy.config.toml_text import inline


class Setting(msgspec.Struct, frozen=True):
    """One key of a table.

    ``description`` is empty if the struct does not describe the key. ``type`` says in TOML's terms what the
    key may contain, and ``default`` is ``NODEFAULT`` for a key that is required.
    """

    name: str
    description: str
    type: str
    default: Any

    @property
    def written_default(self) -> str:
        """The default in TOML, or "required", or "unset" for a key that has no effect without a value."""
        if self.default is NODEFAULT:
            return "required"
        return "unset" if self.default is None else inline(self.default)


def settings_of(struct: type[msgspec.Struct]) -> list[Setting]:
    """Return the keys of the table that ``struct`` reads, in the struct's order."""
    return [_setting(field) for field in msgspec.structs.fields(struct)]


def _setting(field: msgspec.structs.FieldInfo) -> Setting:
    factory = field.default_factory
    default = field.default if factory is NODEFAULT else factory()
    if default is not NODEFAULT:
        default = msgspec.to_builtins(default)
    texts = [meta.description for meta in _metas(field.type) if meta.description]
    return Setting(field.encode_name, texts[-1] if texts else "", _type(field.type), default)


def _type(type_: Any, *, plural: bool = False) -> str:
    """Return a type in TOML's terms, with the limits of a single value if it has some."""
    origin, inner = get_origin(type_), get_args(type_)
    if origin is Annotated:
        units = [meta.extra["unit"] for meta in _metas(type_) if meta.extra and "unit" in meta.extra]
        name = units[0] if units else _type(inner[0], plural=plural)
        return name if plural else name + "".join(map(_bounds, _metas(type_)))
    if origin in {Union, UnionType}:
        return " or ".join(_type(one, plural=plural) for one in inner if one is not NoneType)
    if origin is Literal:
        return _one_of([inline(value) for value in inner])
    if origin in {list, tuple}:
        return f"{'arrays' if plural else 'array'} of {_type(inner[0], plural=True)}"
    if origin is dict:
        return f"{'tables' if plural else 'table'} of {_type(inner[1], plural=True)}"

    is_table = isinstance(type_, type) and issubclass(type_, msgspec.Struct)
    name = "table" if is_table else _NAMES.get(type_, "value")
    return f"{name}s" if plural else name


_NAMES: dict[Any, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    list: "array",
    tuple: "array",
    dict: "table",
}


def _metas(type_: Any) -> list[msgspec.Meta]:
    """Return the metadata of a type itself, without that of the types inside it."""
    said = getattr(type_, "__metadata__", ())
    return [meta for meta in said if isinstance(meta, msgspec.Meta)]


def _bounds(meta: msgspec.Meta) -> str:
    if meta.ge is not None and meta.le is not None:
        return f", {meta.ge:g} to {meta.le:g}"

    words = [("at least", meta.ge), ("above", meta.gt), ("at most", meta.le), ("below", meta.lt)]
    return "".join(f", {word} {bound:g}" for word, bound in words if bound is not None)


def _one_of(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last
