"""What the inspector's views show of a request, as values. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

import msgspec

from claude_max_proxy import Role
from claude_max_proxy.facts.inspection import HeldRequest, Piece, PieceKind
from claude_max_proxy.observers.page import formatting


_BEGINNING = 120  # characters of what was said last
_GROUPS: tuple[tuple[PieceKind, str], ...] = (
    ("instructions", "Instructions"),
    ("message", "Messages"),
    ("tool", "Tools"),
    ("parameters", "Parameters"),
)
_CLOSED = ("tool", "parameters")


class SaidRow(msgspec.Struct, frozen=True):
    """A request that is held, in a list; ``said`` is the beginning of its last message."""

    id: str
    began: float
    model: str
    whose: str
    status: int
    ending: str
    said: str


class Shown(msgspec.Struct, frozen=True):
    """One piece as it is shown; ``note`` says what there is to know of it besides its text."""

    title: str
    text: str
    note: str
    open: bool
    changed: bool = False


class Group(msgspec.Struct, frozen=True):
    """Pieces that belong together."""

    title: str
    note: str
    pieces: list[Shown]


def row(held: HeldRequest) -> SaidRow:
    """Return a request as a row of the list."""
    messages = [piece for piece in (held.sent or held.came).pieces if piece.kind == "message"]
    words = [piece.text for piece in messages if piece.title in get_args(Role)]
    last = words[-1] if words else messages[-1].text if messages else ""
    return SaidRow(
        held.id,
        held.began,
        held.model,
        " · ".join(filter(None, (held.key, held.program))),
        held.status,
        held.ending,
        " ".join(last[: 4 * _BEGINNING].split())[:_BEGINNING],
    )


def groups(held: HeldRequest) -> list[Group]:
    """Return everything that was said: as the backend got it, then what it was before, then the answer."""
    sent = held.sent or held.came
    came = set(held.came.pieces)
    found = [Group("Answer", _usage(held), [_shown(piece) for piece in held.answer])]
    for kind, title in _GROUPS:
        pieces = [_shown(one, changed=one not in came) for one in sent.pieces if one.kind == kind]
        if pieces or kind == "message":
            left_out = sent.left_out if kind == "message" else 0
            note = f"without the {formatting.exact(left_out)} earlier ones" if left_out else ""
            found.append(Group(title, note, pieces))
    if before := _before(held):
        note = "what [models] or a plugin has changed or taken away"
        found.append(Group("As it came", note, before))
    return found


def _before(held: HeldRequest) -> list[Shown]:
    """Return the pieces that came and were not sent like that."""
    if held.sent is None:
        return []
    sent = set(held.sent.pieces)
    return [_shown(piece) for piece in held.came.pieces if piece not in sent]


def _shown(piece: Piece, *, changed: bool = False) -> Shown:
    note = f"{formatting.count(len(piece.text))} characters"
    if piece.missing is None:
        note = "only the beginning"
    elif piece.missing:
        note += f", and {formatting.exact(piece.missing)} more that were cut off"
    return Shown(piece.title, piece.text, note, piece.kind not in _CLOSED or changed, changed)


def _usage(held: HeldRequest) -> str:
    usage = held.usage
    words: Iterable[str] = ()
    if usage is not None:
        words = (
            f"{formatting.exact(usage.prompt_tokens)} tokens in",
            f"{formatting.exact(usage.cache_read_tokens)} from the cache",
            f"{formatting.exact(usage.output_tokens)} out",
            f"{formatting.exact(usage.reasoning_tokens)} for thinking" if usage.reasoning_tokens else "",
        )
    return " · ".join(filter(None, (held.answered_by, *words, held.finish and f"ended with {held.finish}")))
