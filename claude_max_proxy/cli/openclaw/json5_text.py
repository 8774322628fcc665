"""Reads JSON5 texts and merges values into them; what does not change keeps every byte. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from json5.loader import DefaultLoader, ModelLoader, loads

from claude_max_proxy import ConfigError
from claude_max_proxy.cli.openclaw.rendering import Style, render, render_pair


_LINE = re.compile(r"\bline (\d+)")


class Splice(NamedTuple):
    """A change: ``text`` replaces what is between the offsets ``start`` and ``end`` in the old text."""

    start: int
    end: int
    text: str


def read(text: str) -> dict[str, Any]:
    """Return the value of a JSON5 text.

    Raises :class:`ConfigError` with the line if the text is not valid, or if it is no object.
    """
    value = DefaultLoader().load(_parsed(text))
    if not isinstance(value, dict):
        raise ConfigError("line 1: expected an object, { … }")
    return value


def merge(text: str, wanted: dict[str, Any]) -> str:
    """Return ``text`` with ``wanted`` merged into it.

    Objects are merged key by key, and lists of objects with an ``id`` element by element. Any other value is
    replaced if it differs. Nothing is removed.
    """
    root = _parsed(text).value
    style = Style.of(text, root)
    splices = sorted(_merged(text, root, wanted, style), key=lambda splice: (splice.start, splice.end))
    for splice in reversed(splices):
        text = text[: splice.start] + splice.text + text[splice.end :]
    return text


def _parsed(text: str) -> Any:
    try:
        return loads(text, loader=ModelLoader())
    except (ValueError, RecursionError) as error:
        message = str(error)
        line = _LINE.search(message)
        number = int(line[1]) if line else text.count("\n") + 1
        raise ConfigError(f"line {number}: {_reason(message)}") from error


def _reason(message: str) -> str:
    """Return the first reason in the parser's message, without its position."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    reason = lines[1] if len(lines) > 2 and lines[0].startswith("There were") else lines[0] if lines else ""
    reason = reason.removeprefix("The primary error was:").strip() or (lines[2] if len(lines) > 2 else "")
    reason = re.sub(r" at: line \d+ column \d+ \(char \d+\)", "", reason)
    return f"not valid JSON5: {reason[:1].lower()}{reason[1:]}"


def _merged(text: str, node: Any, wanted: Any, style: Style) -> Iterator[Splice]:
    value = DefaultLoader().load(node)
    if value == wanted and type(value) is type(wanted):
        return
    if isinstance(wanted, dict) and isinstance(value, dict):
        yield from _merged_object(text, node, wanted, style)
    elif _has_ids(wanted) and _has_ids(value):
        yield from _merged_list(text, node, wanted, style)
    else:
        start, end = _span(node)
        yield Splice(start, end, render(wanted, style, style.indent_of_line(text, start)))


def _merged_object(text: str, node: Any, wanted: dict[str, Any], style: Style) -> Iterator[Splice]:
    known = {_name(pair.key): pair.value for pair in node.key_value_pairs}  # of equal names, the last counts
    new = {}
    for key, value in wanted.items():
        if key in known:
            yield from _merged(text, known[key], value, style)
        else:
            new[key] = value
    if new:
        write = partial(_pairs, new, style)
        yield from _inserted(text, node, write, style)


def _merged_list(text: str, node: Any, wanted: list[dict[str, Any]], style: Style) -> Iterator[Splice]:
    known = {DefaultLoader().load(element)["id"]: element for element in node.values}
    new = []
    for value in wanted:
        if value["id"] in known:
            yield from _merged(text, known[value["id"]], value, style)
        else:
            new.append(value)
    if new:
        write = partial(_elements, new, style)
        yield from _inserted(text, node, write, style)


def _pairs(new: dict[str, Any], style: Style, indent: str) -> list[str]:
    return [render_pair(key, value, style, indent) for key, value in new.items()]


def _elements(new: list[Any], style: Style, indent: str) -> list[str]:
    return [render(value, style, indent) for value in new]


def _inserted(text: str, node: Any, write: Callable[[str], list[str]], style: Style) -> Iterator[Splice]:
    """Yield the changes that insert new members before the closing bracket, after any comments there."""
    start, end = _span(node)
    outer = style.indent_of_line(text, start)
    inner = outer + style.step
    members = node.values
    if members and not node.trailing_comma:
        last = _span(members[-1])[1]
        yield Splice(last, last, ",")
    comma = "," if node.trailing_comma else ""
    at = start + len(text[start : end - 1].rstrip())
    written = f",{style.newline}{inner}".join(write(inner))
    yield Splice(at, end - 1, f"{style.newline}{inner}{written}{comma}{style.newline}{outer}")


def _has_ids(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) and "id" in one for one in value)


def _name(key: Any) -> str:
    return str(DefaultLoader().load(key)) if hasattr(key, "characters") else str(key.name)


def _span(node: Any) -> tuple[int, int]:
    return node._tok.index, node._end_tok.end  # noqa: SLF001 - the only way to a node's place in the text
