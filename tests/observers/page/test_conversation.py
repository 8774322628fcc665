"""What the inspector's views show of a request."""

from __future__ import annotations

from typing import Any

import pytest

from claude_max_proxy import Usage
from claude_max_proxy.facts.inspection import HeldRequest, Piece, Said
from claude_max_proxy.observers.page.conversation import groups, row


SYSTEM = Piece("instructions", "Instructions", "Be brief.")
HELLO = Piece("message", "user", "hello")
TOOL = Piece("tool", "look", "{}")
PARAMETERS = Piece("parameters", "Parameters", "{}")
ALL = (PARAMETERS, SYSTEM, TOOL, HELLO)


def held(came: Said, **fields: Any) -> HeldRequest:
    """Return a request that is held."""
    return HeldRequest("1", 1_800_000_000.0, "m", "cron", "Aider", "/v1/messages", came, **fields)


def test_a_request_that_nobody_changed() -> None:
    """The answer comes first, then what was said; tools and parameters are closed, and nothing is marked."""
    found = groups(held(Said(ALL), answer=[Piece("answer", "assistant", "hi")]))
    assert [one.title for one in found] == ["Answer", "Instructions", "Messages", "Tools", "Parameters"]
    assert [[piece.text for piece in one.pieces] for one in found[:3]] == [["hi"], ["Be brief."], ["hello"]]
    assert [one.pieces[0].open for one in found] == [True, True, True, False, False]
    assert not any(piece.changed for one in found for piece in one.pieces)
    assert all(one.note == "" for one in found)


def test_what_a_plugin_has_changed() -> None:
    """What was sent is shown and marked where it differs, and what came instead of it is shown below."""
    tool = Piece("tool", "look", '{"description": "Looks."}')
    found = groups(held(Said(ALL), sent=Said((PARAMETERS, tool, Piece("message", "user", "[redacted]")))))
    assert [one.title for one in found] == ["Answer", "Messages", "Tools", "Parameters", "As it came"]
    marked = {piece.text: (piece.changed, piece.open) for one in found[1:4] for piece in one.pieces}
    assert marked == {"[redacted]": (True, True), tool.text: (True, True), "{}": (False, False)}
    assert [piece.text for piece in found[-1].pieces] == ["Be brief.", "{}", "hello"]
    assert "a plugin has changed" in found[-1].note


def test_what_is_left_out() -> None:
    """Messages that are not held are counted, also where none is held at all."""
    found = groups(held(Said((), left_out=12)))
    assert [(one.title, one.note) for one in found] == [
        ("Answer", ""),
        ("Messages", "without the 12 earlier ones"),
    ]


@pytest.mark.parametrize(
    ("missing", "note"),
    [
        (0, "5 characters"),
        (1234, "5 characters, and 1\N{NARROW NO-BREAK SPACE}234 more that were cut off"),
        (None, "only the beginning"),
    ],
)
def test_what_was_cut_off(missing: int | None, note: str) -> None:
    """A text that is not whole says so, with what is missing if that was counted."""
    found = groups(held(Said((Piece("message", "user", "hello", missing),))))
    assert found[1].pieces[0].note == note


@pytest.mark.parametrize(
    ("fields", "note"),
    [
        ({}, ""),
        ({"answered_by": "claude-x"}, "claude-x"),
        (
            {"answered_by": "claude-x", "usage": Usage(10, 7, 20, 3), "finish": "stop"},
            "claude-x · 33 tokens in · 20 from the cache · 7 out · ended with stop",
        ),
        (
            {"usage": Usage(1, 7, reasoning_tokens=5)},
            "1 tokens in · 0 from the cache · 7 out · 5 for thinking",
        ),
    ],
)
def test_what_was_used(fields: dict[str, Any], note: str) -> None:
    """Above the answer is who answered, what was used, and how it ended, as far as that is known."""
    assert groups(held(Said(), **fields))[0].note == note


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        ((), ""),
        ((SYSTEM,), ""),
        ((HELLO,), "hello"),
        ((HELLO, Piece("message", "user · result of c1", "42")), "hello"),
        ((Piece("message", "user · result of c1", "42"),), "42"),
        ((Piece("message", "user", " a\n\n b "),), "a b"),
        ((Piece("message", "user", "x" * 1000),), "x" * 120),
    ],
)
def test_a_row(pieces: tuple[Piece, ...], said: str) -> None:
    """A row has the beginning of what was said last, on one line; of a tool's result only without words."""
    found = row(held(Said(pieces)))
    assert found.said == said
    assert found.whose == "cron · Aider"
