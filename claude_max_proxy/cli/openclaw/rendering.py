"""Writes values as JSON5, in the style of the file into which they are put. Pure."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple


_IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")


class Style(NamedTuple):
    """The style of a file: the step of its indentation, its line ends, and whether it quotes plain keys."""

    step: str
    newline: str
    quoted: bool

    @classmethod
    def of(cls, text: str, root: Any) -> Style:
        """Return the style of a parsed text; a text without members counts as plain JSON."""
        members = list(root.key_value_pairs)
        step = "  "
        if members:
            before = text[: members[0].key._tok.index].rpartition("\n")[2]  # noqa: SLF001 - the key's place
            step = before if before and not before.strip() else step
        quoted = all(hasattr(member.key, "characters") for member in members)
        return cls(step, "\r\n" if "\r\n" in text else "\n", quoted)

    def indent_of_line(self, text: str, at: int) -> str:
        """Return the indentation of the line that contains the offset ``at``."""
        line = text[text.rfind("\n", 0, at) + 1 :]
        return line[: len(line) - len(line.lstrip(" \t"))]


def render_pair(key: str, value: Any, style: Style, indent: str) -> str:
    """Return one member of an object whose members have this indentation."""
    plain = not style.quoted and _IDENTIFIER.fullmatch(key)
    return f"{key if plain else json.dumps(key, ensure_ascii=False)}: {render(value, style, indent)}"


def render(value: Any, style: Style, indent: str) -> str:
    """Return a value that begins in a line with this indentation; lists of plain values stay on one line."""
    inner = indent + style.step
    match value:
        case dict() if value:
            pairs = [render_pair(key, one, style, inner) for key, one in value.items()]
            return _block("{", pairs, "}", style, indent)
        case list() if any(isinstance(one, dict | list) for one in value):
            return _block("[", [render(one, style, inner) for one in value], "]", style, indent)
        case list():
            return f"[{', '.join(json.dumps(one, ensure_ascii=False) for one in value)}]"
        case _:
            return json.dumps(value, ensure_ascii=False)


def _block(opening: str, members: list[str], closing: str, style: Style, indent: str) -> str:
    inner = style.newline + indent + style.step
    return f"{opening}{inner}{f',{inner}'.join(members)}{style.newline}{indent}{closing}"
