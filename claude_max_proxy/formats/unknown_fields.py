"""Finds fields that a schema does not know, names them by their path without indexes, removes them. Pure.

If all fields of a body are known, this costs nothing: the structs (:class:`Schema`) refuse unknown fields,
and only a body that was refused is compared with its type.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import inspect


_NAMES = 50
_LENGTH = 64
_HOLDERS = (dict, list)
_INDEX = re.compile(r"\[\d+\]")
_UNPRINTABLE = re.compile(r"[^A-Za-z0-9_.$-]")


class Schema(msgspec.Struct, forbid_unknown_fields=True):
    """A JSON object of a client API; a subclass declares every known field."""


class Known(msgspec.Struct):
    """The names of a struct's fields, and how to walk those that contain other structs."""

    names: frozenset[str]
    deep: list[tuple[str, Plan]]


class Plan(msgspec.Struct):
    """How to walk a value: the ``structs`` by their tag (or ``None``), and the ``items`` of lists."""

    tag_field: str = ""
    structs: dict[Any, Known] = msgspec.field(default_factory=dict)
    items: Plan | None = None

    def known(self, value: dict[str, Any]) -> Known | None:
        """Return the known fields of an object, or ``None`` if it is not known which struct it is."""
        tag = value.get(self.tag_field) if self.tag_field else None
        return self.structs.get(tag) if isinstance(tag, str | None) else None


def without_unknown(value: Any, type_: Any, names: list[str], path: str = "") -> Any:
    """Return ``value`` without the fields that ``type_`` does not know, and append their paths to ``names``.

    A field that is ``None`` or empty asks for nothing, so it is removed without being named. ``value``
    itself, which others may still use, does not change.
    """
    plan = _plan_of(type_)
    return _walk(value, plan, _INDEX.sub("", path), names) if plan else value


def _walk(value: Any, plan: Plan, path: str, names: list[str]) -> Any:
    if type(value) is list and plan.items is not None:
        return [_walk(item, plan.items, path, names) if type(item) in _HOLDERS else item for item in value]
    known = plan.known(value) if type(value) is dict else None
    if known is None:
        return value

    kept = value.copy()
    if not value.keys() <= known.names:
        for key in [key for key in value if key not in known.names]:
            _name(key, kept.pop(key), path, names)
    for key, deeper in known.deep:
        inner = kept.get(key)
        if type(inner) in _HOLDERS:
            kept[key] = _walk(inner, deeper, f"{path}.{key}" if path else key, names)
    return kept


def _name(key: str, value: Any, path: str, names: list[str]) -> None:
    if len(names) >= _NAMES or value is None or value in ("", [], {}):
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
    """Return how to walk values of a type, or ``None`` if they contain no structs that we know."""
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
    names = {field.encode_name for field in info.fields} | ({info.tag_field} if info.tag_field else set())
    deep = [(field.encode_name, plan) for field in info.fields if (plan := _plan(field.type))]
    return Plan(info.tag_field or "", {info.tag: Known(frozenset(names), deep)})


def _union(plans: list[Plan]) -> Plan | None:
    merged = Plan()
    for plan in plans:
        merged.tag_field = merged.tag_field or plan.tag_field
        merged.structs |= plan.structs
        merged.items = merged.items or plan.items
    return merged if plans else None
