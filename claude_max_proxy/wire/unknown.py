"""Fields that no schema knows: found, named by their path without indexes, and taken out. Pure.

A body whose fields are all known costs nothing here: its schemas (:class:`Schema`) refuse unknown fields, and
only a body that was refused is looked at again, beside its type.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import inspect


_NAMES = 50
_LENGTH = 64
_UNPRINTABLE = re.compile(r"[^A-Za-z0-9_.$-]")


class Schema(msgspec.Struct, forbid_unknown_fields=True):
    """A JSON object of a client API, with every field that is known."""


class Plan(msgspec.Struct):
    """How to walk a value: ``structs`` by their tag, or by ``None`` without one, and the items of lists."""

    tag_field: str = ""
    structs: dict[Any, dict[str, Plan | None]] = msgspec.field(default_factory=dict)
    items: Plan | None = None

    def fields(self, value: dict[str, Any]) -> dict[str, Plan | None] | None:
        """Give the known fields of an object, where it is known what it is."""
        tag = value.get(self.tag_field) if self.tag_field else None
        return self.structs.get(tag) if isinstance(tag, str | None) else None


def known_part(value: Any, type_: Any, names: list[str], path: str = "") -> Any:
    """Give ``value`` without what ``type_`` does not know, and add that to ``names``.

    What is ``None`` or empty asks for nothing and is not named. ``value`` itself is left as it is.
    """
    plan = _plan_of(type_)
    return _walk(value, plan, _UNINDEXED.sub("", path), names) if plan else value


_UNINDEXED = re.compile(r"\[\d+\]")


def _walk(value: Any, plan: Plan, path: str, names: list[str]) -> Any:
    items = plan.items
    if isinstance(value, list) and items is not None:
        return [_walk(item, items, path, names) for item in value]
    fields = plan.fields(value) if isinstance(value, dict) else None
    if fields is None:
        return value

    known = {}
    for key, inner in value.items():
        if key not in fields:
            _name(key, inner, path, names)
            continue
        deeper = fields[key]
        if deeper is not None and isinstance(inner, list | dict):
            inner = _walk(inner, deeper, f"{path}.{key}" if path else key, names)  # noqa: PLW2901
        known[key] = inner
    return known


def _name(key: str, value: Any, path: str, names: list[str]) -> None:
    if value is None or value in ("", [], {}) or len(names) >= _NAMES:
        return

    shown = _UNPRINTABLE.sub("?", key[:_LENGTH])
    name = f"{path}.{shown}" if path else shown
    if name not in names:
        names.append(name)


# --- plans, made once for each type


@lru_cache(maxsize=256)
def _plan_of(type_: Any) -> Plan | None:
    return _plan(inspect.type_info(type_))


def _plan(info: inspect.Type) -> Plan | None:
    """Make the plan of a type; ``None`` for one whose insides are nobody's to know."""
    match info:
        case inspect.Metadata(type=inner):
            return _plan(inner)
        case inspect.ListType(item_type=item):
            items = _plan(item)
            return Plan(items=items) if items else None
        case inspect.StructType():
            return _struct(info)
        case inspect.UnionType(types=types):
            return _union([plan for one in types if (plan := _plan(one))])
        case _:
            return None


def _struct(info: inspect.StructType) -> Plan:
    fields = {field.encode_name: _plan(field.type) for field in info.fields}
    if info.tag_field:
        fields[info.tag_field] = None
    return Plan(info.tag_field or "", {info.tag: fields})


def _union(plans: list[Plan]) -> Plan | None:
    merged = Plan()
    for plan in plans:
        merged.tag_field = merged.tag_field or plan.tag_field
        merged.structs |= plan.structs
        merged.items = merged.items or plan.items
    return merged if plans else None
