"""Converts tables of ``proxy.toml`` to structs; errors name the whole path and suggest what was meant."""

from __future__ import annotations

import json
import re
import types
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple, TypeVar, Union, get_args, get_origin

import msgspec

from claude_max_proxy.config.near_misses import near_miss
from claude_max_proxy.errors import ConfigError
from claude_max_proxy.formats.mismatch import Mismatch, joined, mismatch


T = TypeVar("T")
_NOT_ONE_OF = re.compile(r"invalid enum value '(?P<value>[^']*)'")


class _Part(NamedTuple):
    """A value within another, the type that it must have, and its path."""

    value: Any
    type: Any
    path: str


def convert(value: Any, type_: type[T], path: str) -> T:
    """Convert ``value``, which is at ``path``, to ``type_``, without changing the types of values.

    Raises :class:`ConfigError` with a message for each mistake, which begins with its whole path. If an
    unknown key is close to a known one, the message suggests that one.
    """
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        raise ConfigError(*_mistakes(_Part(value, type_, path))) from error


def quoted(key: str) -> str:
    """Return ``key`` as it is written in a dotted path of TOML, in quotes if it needs them."""
    if re.fullmatch(r"[A-Za-z0-9_-]+", key):
        return key
    return json.dumps(key, ensure_ascii=False).replace("\x7f", "\\u007f")


def _mistakes(part: _Part) -> list[str]:
    """Return what is wrong with a value and everything in it; an empty list if it fits its type."""
    try:
        msgspec.convert(part.value, part.type)
    except msgspec.ValidationError as error:
        inside = [mistake for one in _parts(part) for mistake in _mistakes(one)]
        return [*_wrong_keys(part), *inside] or [_explained(mismatch(error), part)]

    return []


def _parts(part: _Part) -> Iterator[_Part]:
    """Yield those elements of a table or a list whose types are known."""
    value, type_, path = part.value, _unwrapped(part), part.path
    arguments = get_args(type_)
    if isinstance(value, dict) and _is_struct(type_):
        types_ = {field.encode_name: field.type for field in msgspec.structs.fields(type_)}
        yield from (_Part(value[key], types_[key], f"{path}.{quoted(key)}") for key in value if key in types_)
    elif isinstance(value, dict) and get_origin(type_) is dict:
        yield from (_Part(one, arguments[1], f"{path}.{quoted(key)}") for key, one in value.items())
    elif isinstance(value, list) and _is_list(type_):
        yield from (_Part(one, arguments[0], f"{path}[{number}]") for number, one in enumerate(value))


def _unwrapped(part: _Part) -> Any:
    """Return the type without its bounds; from a union, the first type that can contain such a value."""
    type_ = part.type
    while get_origin(type_) is Annotated:
        type_ = get_args(type_)[0]
    if get_origin(type_) not in {Union, types.UnionType}:
        return type_

    fitting = (one for one in get_args(type_) if _may_hold(one, part.value))
    return next(fitting, type_)


def _may_hold(type_: Any, value: Any) -> bool:
    if isinstance(value, dict):
        return _is_struct(type_) or get_origin(type_) is dict
    return isinstance(value, list) and _is_list(type_)


def _is_struct(type_: Any) -> bool:
    return isinstance(type_, type) and issubclass(type_, msgspec.Struct)


def _is_list(type_: Any) -> bool:
    """Return whether it is a list whose elements are all of one type."""
    return get_origin(type_) is list or (get_origin(type_) is tuple and Ellipsis in get_args(type_))


def _wrong_keys(part: _Part) -> Iterator[str]:
    """Yield a message for each unknown and each missing key of a table."""
    type_ = _unwrapped(part)
    if not (isinstance(part.value, dict) and _is_struct(type_)):
        return

    fields = {field.encode_name: field for field in msgspec.structs.fields(type_)}
    if type_.__struct_config__.forbid_unknown_fields:
        for key in part.value:
            if key not in fields:
                yield f"{part.path}: unknown key {key!r}{near_miss(key, fields)}"
    for key, field in fields.items():
        if field.required and key not in part.value:
            yield f"{part.path}: object missing required field `{key}`"


def _explained(wrong: Mismatch, part: _Part) -> str:
    value = _NOT_ONE_OF.search(wrong.problem)
    hint = near_miss(value["value"], _words(part.type)) if value and not wrong.path else ""
    return f"{joined(part.path, wrong.path)}: {wrong.problem}{hint}"


def _words(type_: Any) -> list[str]:
    """Return the words that a value of this type may be."""
    arguments = get_args(type_)
    words = [word for word in arguments if isinstance(word, str)]
    return words + [word for one in arguments if not isinstance(one, str) for word in _words(one)]
