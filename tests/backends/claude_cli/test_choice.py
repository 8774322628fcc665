"""Which process a request is given to, as plain data."""

from __future__ import annotations

from typing import Any

import pytest

from claude_max_proxy import Client
from claude_max_proxy.backends.claude_cli.choice import CROWDED, READY, STARTED, Held, Wanted, choose
from claude_max_proxy.backends.claude_cli.process_kind import ProcessKind
from tests.backends.claude_cli.test_transcript import ROOT, message, transcript


ME = Client("key", session="1")


def held(words: str, **fields: Any) -> Held:
    """Return a held conversation."""
    return Held(**{"root": ROOT, "entries": transcript(*words.split()), "pending": {}, "owner": ME, **fields})


def chosen(asked: str, *there: Held, fresh: float = READY, **fields: Any) -> int | None:
    """Choose for a request, and return the position of what was chosen."""
    messages = [message(word) for word in asked.split()]
    wanted = Wanted(**{"kind": ProcessKind("m"), "root": ROOT, "client": ME, "messages": messages, **fields})
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
    """One that continues wins, then the one that shares most; others' long conversations are left alone."""
    assert chosen(asked, *map(held, there)) == place


def test_what_a_fresh_process_costs() -> None:
    """The more a new process costs, and the longer another has been idle, the sooner that one is taken."""
    long, open_call = held(LONG), held("u1 c1", pending={"callc1": "t"})
    assert chosen("u9", long, fresh=STARTED) is None
    assert chosen("u9", held(LONG, idle=120), fresh=STARTED) == 0
    assert [chosen("u9", open_call, fresh=fresh) for fresh in (READY, STARTED, CROWDED)] == [None] * 3
    assert chosen("u9", held("u1 c1", pending={"callc1": "t"}, idle=120), fresh=CROWDED) == 0


def test_isolation() -> None:
    """A process that served one API key never serves another; with the same key, it may."""
    others = [held("", owner=Client("other", session="1")), held("u1 a1", owner=Client("", session="1"))]
    assert chosen("u1 a1 u2", *others) is None
    assert chosen("u1 a1 u2", *others, held("u1 a1", owner=Client("key", session="2"))) == 2


def test_other_sessions() -> None:
    """Another session's conversation is kept while there is room, and given up if there is none."""
    theirs = held("u1 a1", owner=Client("key", session="2"))
    prices = (READY, STARTED, CROWDED)
    assert [chosen("u1 a1 u3 a3 u2", theirs, fresh=fresh) for fresh in prices] == [0, 0, 0]
    assert [chosen("u9", theirs, fresh=fresh) for fresh in prices] == [None, None, 0]
    assert chosen("u9", theirs, client=Client("key")) == 0


def test_other_roots() -> None:
    """Other instructions or another model need another process."""
    assert chosen("u1", held("", root=b"other")) is None


def test_ones_own_of_many_alike() -> None:
    """Of equal conversations a session gets its own, and other sessions get the newest."""
    alike = [
        held("u1 a1", owner=Client("key", session=name), idle=idle) for name, idle in (("2", 1), ("1", 9))
    ]
    assert chosen("u1 a1 u2", *alike) == 1
    assert chosen("u1 a1 u2", *alike, client=Client("key", session="3")) == 0


@pytest.mark.parametrize("why", ["wanted", "held", "stale"])
def test_what_only_goes_on_in_place(why: str) -> None:
    """A conversation still continues in place if nothing may be removed from it or begun in it."""
    fields = {"held": {"movable": False}, "stale": {"stale": True}}.get(why, {})
    movable = why != "wanted"
    assert chosen("u1 a1 u2", held("u1 a1", **fields), movable=movable) == 0
    assert chosen("u1 a1 u2", held("u1 a1 u3 a3", **fields), movable=movable) is None
    assert chosen("u1 a1 u2", held("", **fields), movable=movable) is None
