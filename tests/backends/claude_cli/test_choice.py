"""Which process a request goes to, as data."""

from __future__ import annotations

from typing import Any

import pytest

from claude_max_proxy import Client
from claude_max_proxy.backends.claude_cli.choice import CROWDED, READY, STARTED, Held, Wanted, choose
from claude_max_proxy.backends.claude_cli.kind import Kind
from tests.backends.claude_cli.test_transcript import ROOT, message, transcript


ME = Client("key", session="1")


def held(words: str, **fields: Any) -> Held:
    """Make what is there."""
    return Held(**{"root": ROOT, "entries": transcript(*words.split()), "pending": {}, "owner": ME, **fields})


def chosen(asked: str, *there: Held, fresh: float = READY, **fields: Any) -> int | None:
    """Choose for what is asked, and return the place of what was chosen."""
    messages = [message(word) for word in asked.split()]
    wanted = Wanted(**{"kind": Kind("m"), "root": ROOT, "client": ME, "messages": messages, **fields})
    choice = choose(wanted, there, fresh)
    return None if choice is None else choice.place


LONG = " ".join(f"u{number} a{number}" for number in range(100))


@pytest.mark.parametrize(
    ("asked", "there", "place"),
    [
        ("u1", [], None),
        ("u1", ["", "u9 a9"], 0),
        ("u1", ["u9 a9"], 0),
        ("u1 a1 u2", ["", "u1 a1"], 1),
        ("u1 a1 u2", ["u1 a1 u2 a2", "u1 a1"], 1),
        ("u1 a1 u2", ["u8 a8", "u1 a1 u3 a3"], 1),
        (LONG + " u100", ["", LONG + " u9 a9"], 1),
        ("u9 a9 u2", [LONG], None),
    ],
)
def test_the_least_work(asked: str, there: list[str], place: int | None) -> None:
    """What goes on in place comes first, then what shares most; others' long conversations are left alone."""
    assert chosen(asked, *map(held, there)) == place


def test_what_a_fresh_process_costs() -> None:
    """The dearer a fresh one is, and the longer the others have rested, the sooner their place is taken."""
    long, open_call = held(LONG), held("u1 c1", pending={"callc1": "t"})
    assert chosen("u9", long, fresh=STARTED) is None
    assert chosen("u9", held(LONG, idle=120), fresh=STARTED) == 0
    assert [chosen("u9", open_call, fresh=fresh) for fresh in (READY, STARTED, CROWDED)] == [None] * 3
    assert chosen("u9", held("u1 c1", pending={"callc1": "t"}, idle=120), fresh=CROWDED) == 0


def test_isolation() -> None:
    """What served one API key never serves another, not even the same conversation; the same key's may."""
    others = [held("", owner=Client("other", session="1")), held("u1 a1", owner=Client("", session="1"))]
    assert chosen("u1 a1 u2", *others) is None
    assert chosen("u1 a1 u2", *others, held("u1 a1", owner=Client("key", session="2"))) == 2


def test_other_sessions() -> None:
    """What another session said is left alone while there is room, and given up where there is none."""
    theirs = held("u1 a1", owner=Client("key", session="2"))
    prices = (READY, STARTED, CROWDED)
    assert [chosen("u1 a1 u3 a3 u2", theirs, fresh=fresh) for fresh in prices] == [0, 0, 0]
    assert [chosen("u9", theirs, fresh=fresh) for fresh in prices] == [None, None, 0]
    assert chosen("u9", theirs, client=Client("key")) == 0


def test_other_roots() -> None:
    """Other instructions or another model are another process."""
    assert chosen("u1", held("", root=b"other")) is None


def test_ones_own_of_many_alike() -> None:
    """Of conversations that are alike a session gets its own, others the newest."""
    alike = [
        held("u1 a1", owner=Client("key", session=name), idle=idle) for name, idle in (("2", 1), ("1", 9))
    ]
    assert chosen("u1 a1 u2", *alike) == 1
    assert chosen("u1 a1 u2", *alike, client=Client("key", session="3")) == 0


@pytest.mark.parametrize("why", ["wanted", "held", "stale"])
def test_what_only_goes_on_in_place(why: str) -> None:
    """Where nothing may be taken back, or nothing new begin, a conversation still goes on."""
    fields = {"held": {"movable": False}, "stale": {"stale": True}}.get(why, {})
    movable = why != "wanted"
    assert chosen("u1 a1 u2", held("u1 a1", **fields), movable=movable) == 0
    assert chosen("u1 a1 u2", held("u1 a1 u3 a3", **fields), movable=movable) is None
    assert chosen("u1 a1 u2", held("", **fields), movable=movable) is None
