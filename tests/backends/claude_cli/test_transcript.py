"""How a request continues a transcript, as plain data."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_max_proxy import Message, Reasoning, Text, ToolCall, ToolResult
from claude_max_proxy.backends.claude_cli.transcript import Entry, Plan, ends_of, entry, marks_of, plan


ROOT = b"root"


def message(written: str) -> Message:
    """Return a message: `u` user, `a` assistant, `e` ephemeral, `c` a call, `r` a result, `t` a thought."""
    kind, text = written[0], Text(written)
    match kind:
        case "a":
            return Message("assistant", [text])
        case "c":
            return Message("assistant", [ToolCall(f"call{written}", "look", "{}")])
        case "r":
            return Message("user", [ToolResult(f"callc{written[1:]}", (text,))])
        case "t":
            return Message("assistant", [Reasoning("hm")])
        case _:
            return Message("user", [text], ephemeral=kind == "e")


def transcript(*written: str) -> list[Entry]:
    """Return a transcript; a word that ends in `!` was in no line of ours."""
    entries: list[Entry] = []
    for word in written:
        before = entries[-1].digest if entries else ROOT
        made = message(word.removesuffix("!"))
        named = made.role == "user" and not word.endswith("!")
        entries.append(entry(before, made, word if named else ""))
    return entries


def planned(held: str, asked: str, pending: dict[str, str] | None = None) -> Plan | None:
    """Plan how a request continues what a process holds."""
    messages = [message(word) for word in asked.split()]
    return plan(transcript(*held.split()), ends_of(ROOT, marks_of(messages)), messages, pending or {})


@pytest.mark.parametrize(
    ("held", "asked", "keep", "taken_back", "start"),
    [
        ("", "u1", 0, "", 0),
        ("", "u1 a1 u2", 0, "", 0),
        ("u1 a1", "u1 a1 u2", 2, "", 2),
        ("u1 a1", "u1 a1 u2 u3", 2, "", 2),
        ("u1 a1", "u9", 0, "u1", 0),
        ("u1 a1 u2 a2 u3 a3", "u9 a9 u2", 0, "u3 u2 u1", 0),
        ("u1 a1 u2 a2", "u1 a1 u2", 2, "u2", 2),
        ("u1 a1 u2 a2", "u1 a1 u9", 2, "u2", 2),
        ("u1 a1 u2 a2 u3 a3", "u1 a1 u9", 2, "u3 u2", 2),
        ("u1 a1 u2 a2", "u1 a9 u3", 0, "u2 u1", 0),
        ("u1 a1 u2 a2", "u1 a1 u2 a9 u3", 2, "u2", 2),
        ("u1 u2 a1", "u1 u9", 1, "u2", 1),
        ("u1 u2 a1", "u1 u2 a1 u3", 3, "", 3),
        ("u1 c1 r1 a1", "u1 c1 r9", 0, "r1 u1", 0),
        ("u1 c1 r1! a1 u2 a2", "u1 c1 r1 a1 u9", 4, "u2", 4),
        ("u1 c1 r1! a1 u2 a2", "u1 c1 r9", 0, "u2 u1", 0),
        ("u1 c1 r1 u2 a2", "u1 c1 r1 u9", 3, "u2", 3),
        ("u1 t1 a1", "u1 a1 u2", 3, "", 2),
        ("u1 e1 a1", "u1 a1 e2 u2", 3, "", 2),
        ("u1 a1 e1 u2 a2", "u1 a1 u9 e9", 2, "u2 e1", 2),
        ("u1 a1 e1 u2 a2", "u1 a1 u2 a2 u3 e3", 5, "", 4),
        ("e1 u1 a1", "e9 u9", 0, "u1 e1", 0),
        ("u1 a1 e1", "u1 a1 e9 u2", 2, "e1", 2),
        ("a1 u1 a2", "a1 u9", 1, "u1", 1),
    ],
)
def test_how_it_goes_on(held: str, asked: str, keep: int, taken_back: str, start: int) -> None:
    """Equal messages stay, different ones are removed, newest first, and missing ones are appended."""
    found = planned(held, asked)
    assert found is not None
    assert (found.keep, " ".join(found.lines), found.start) == (keep, taken_back, start)
    assert found.results is None


@pytest.mark.parametrize(("held", "asked"), [("a1 u1 a2", "u9"), ("r1! a1", "u1"), ("a1", "a9 u1")])
def test_what_cannot_be_taken_back(held: str, asked: str) -> None:
    """What came before the first line that we named cannot be removed, so the process serves nothing else."""
    assert planned(held, asked) is None


PENDING = {"callc1": "toolu_1"}


def test_open_calls() -> None:
    """Waiting calls are answered in place; anything else removes them, and the question before them."""
    answered = planned("u1 c1", "u1 c1 r1", PENDING)
    assert answered is not None
    assert (answered.keep, answered.lines, answered.start) == (2, (), 2)
    assert answered.results is not None
    assert list(answered.results) == ["toolu_1"]
    for asked in ("u1 c1 r1 u2", "u1", "u1 a9 u2"):
        other = planned("u1 c1", asked, PENDING)
        assert other is not None
        assert (other.keep, other.lines, other.start, other.results) == (0, ("u1",), 0, None)


WORDS = st.lists(st.sampled_from(["u1", "u2", "a1", "a2", "e1", "e2", "t1"]), max_size=7)


@given(WORDS, WORDS)
def test_every_plan_leads_to_what_is_asked(held: list[str], asked: list[str]) -> None:
    """What stays and what is appended is the request, except for what lasts only for its turn."""
    asked = [*asked, "u9"]
    found = planned(" ".join(held), " ".join(asked))
    if found is None:
        return

    def lasting(words: list[str]) -> list[str]:
        return [word for word in words if word[0] in "ua"]

    assert lasting(held[: found.keep]) + lasting(asked[found.start :]) == lasting(asked)
    assert list(found.lines) == [word for word in reversed(held[found.keep :]) if word[0] in "ue"]
    assert found.start < len(asked)
    if found.keep < len(held):
        assert held[found.keep][0] in "ue"
