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
_HOLDERS = (dict, list)
_INDEX = re.compile(r"\[\d+\]")
_UNPRINTABLE = re.compile(r"[^A-Za-z0-9_.$-]")


class Schema(msgspec.Struct, forbid_unknown_fields=True):
    """A JSON object of a client API, with every field that is known."""


class Known(msgspec.Struct):
    """The fields of one struct, and how to walk those that hold others."""

    names: frozenset[str]
    deep: list[tuple[str, Plan]]


class Plan(msgspec.Struct):
    """How to walk a value: ``structs`` by their tag, or by ``None`` without one, and the items of lists."""

    tag_field: str = ""
    structs: dict[Any, Known] = msgspec.field(default_factory=dict)
    items: Plan | None = None

    def known(self, value: dict[str, Any]) -> Known | None:
        """Say what is known of an object, where it is known what it is."""
        tag = value.get(self.tag_field) if self.tag_field else None
        return self.structs.get(tag) if isinstance(tag, str | None) else None


def drop_unknown(value: Any, type_: Any, names: list[str], path: str = "") -> None:
    """Take out of ``value``, in place, what ``type_`` does not know, and add that to ``names``.

    What is ``None`` or empty asks for nothing and is not named.
    """
    if plan := _plan_of(type_):
        _walk(value, plan, _INDEX.sub("", path), names)


def _walk(value: Any, plan: Plan, path: str, names: list[str]) -> None:
    if type(value) is list:
        if plan.items is not None:
            for item in value:
                if type(item) in _HOLDERS:
                    _walk(item, plan.items, path, names)
        return
    known = plan.known(value) if type(value) is dict else None
    if known is None:
        return

    if not value.keys() <= known.names:
        for key in [key for key in value if key not in known.names]:
            _name(key, value.pop(key), path, names)
    for key, deeper in known.deep:
        inner = value.get(key)
        if type(inner) in _HOLDERS:
            _walk(inner, deeper, f"{path}.{key}" if path else key, names)


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
