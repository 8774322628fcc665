"""Which parameters of the Messages API each Claude model accepts. Pure.

There is one row for each model, from the API's documentation (platform.claude.com/docs, read in November
2026):

- thinking: build-with-claude/thinking-troubleshooting, "Thinking support, defaults, and rejected
  configurations by model", and what's new in Sonnet 5.5 (``between_tools``) and Haiku 5.5
- effort: build-with-claude/effort, and the catalogue inside Claude Code 2.1.331
- sampling: the migration guides (Sonnet 4.5: one of the two; Opus 4.7 and later: none). Opus 4.1 also accepts
  only one of the two, as its refusals, which were reported in public, show
- forced tools: what's new in Opus 5.5, Sonnet 5.5 and Fable 5.1 (refused), the guide to Haiku 5.5 (accepted)

A model that is newer than its family's last row is assumed to be like that row, until its provider refuses a
parameter.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec


Version = tuple[int, int]
Thinking = Literal["none", "budget", "either", "adaptive"]

SOME = ("low", "medium", "high")
MOST = ("low", "medium", "high", "max")
ALL = ("low", "medium", "high", "xhigh", "max")


class Abilities(msgspec.Struct, frozen=True):
    """What one model accepts.

    - ``sampling``: which of ``temperature``, ``top_p`` and ``top_k`` may differ from their defaults: all of
      them, only one of ``temperature`` and ``top_p`` (and ``top_k``), or none.
    - ``thinking``: how it can be told to think: not at all, with a budget, adaptively, or in either way.
    - ``off``: the type of thinking that switches thinking off; empty for a model that always thinks.
    - ``off_efforts``: the levels of effort at which thinking can be switched off.
    - ``efforts``: the levels of effort that it accepts.
    - ``forced``: whether it can be made to call a tool.
    - ``known``: false for a model that has no row.
    """

    sampling: Literal["all", "one", "none"] = "none"
    thinking: Thinking = "adaptive"
    off: Literal["disabled", "between_tools", ""] = "disabled"
    off_efforts: tuple[str, ...] = ALL
    efforts: tuple[str, ...] = ALL
    forced: bool = True
    known: bool = True


_FIRST = Abilities("all", "none", efforts=())
_MANUAL = Abilities("one", "budget", efforts=())
_ALWAYS = Abilities(off="")
_BOUND = Abilities(off="", forced=False)
_ROWS: dict[str, dict[Version, Abilities]] = {
    "haiku": {
        (3, 0): _FIRST,
        (4, 5): _MANUAL,
        (5, 5): Abilities(off_efforts=SOME),
    },
    "sonnet": {
        (3, 0): _FIRST,
        (3, 7): Abilities("all", "budget", efforts=()),
        (4, 0): Abilities("all", "budget", efforts=()),
        (4, 5): _MANUAL,
        (4, 6): Abilities("one", "either", efforts=MOST),
        (5, 0): Abilities(),
        (5, 5): Abilities(off="between_tools", off_efforts=SOME, forced=False),
    },
    "opus": {
        (3, 0): _FIRST,
        (4, 0): Abilities("all", "budget", efforts=()),
        (4, 1): _MANUAL,
        (4, 5): Abilities("one", "budget", efforts=SOME),
        (4, 6): Abilities("one", "either", efforts=MOST),
        (4, 7): Abilities(),
        (4, 8): Abilities(),
        (5, 0): Abilities(off_efforts=SOME),
        (5, 5): _BOUND,
    },
    "fable": {(5, 0): _ALWAYS, (5, 1): _BOUND, (5, 2): _BOUND},
    "mythos": {(0, 0): _BOUND, (5, 0): _ALWAYS, (5, 1): _BOUND, (5, 2): _BOUND},
}
_NEWEST = _BOUND
_EXACT = {(family, version) for family, rows in _ROWS.items() for version in rows} | {
    ("haiku", (3, 5)),
    ("sonnet", (3, 5)),
}
# Models have different names on different platforms, as `claude-3-5-haiku-20241022` or
# `anthropic/claude-opus-4.6`.
_NUMBER = r"(?P<major>\d{1,2})(?:[-.](?P<minor>\d{1,2})(?!\d))?(?!\d)"
_NAMES = (
    re.compile(rf"claude-{_NUMBER}-(?P<family>[a-z]+)"),
    re.compile(rf"claude-(?P<family>[a-z]+)-{_NUMBER}"),
)
_PREVIEW = re.compile(r"claude-(?P<family>mythos)-preview")
_ANCIENT = re.compile(r"claude-(2|instant)")


def abilities_of(model: str) -> Abilities | None:
    """Return what ``model``, a full name, accepts, or ``None`` if it is not the name of a Claude model."""
    name = model.lower()
    if _ANCIENT.search(name):
        return _FIRST
    if _PREVIEW.search(name):
        return _ROWS["mythos"][0, 0]
    match = next((found for pattern in _NAMES if (found := pattern.search(name))), None)
    return _row(match["family"], (int(match["major"]), int(match["minor"] or 0))) if match else None


def _row(family: str, version: Version) -> Abilities:
    """Return the row of a model, or that of the newest model before it."""
    rows = _ROWS.get(family, {})
    older = [row for row in rows if row <= version]
    found = rows[max(older)] if older else _NEWEST
    return found if (family, version) in _EXACT else msgspec.structs.replace(found, known=False)
