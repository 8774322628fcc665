"""Parked conversations."""

from __future__ import annotations

from typing import Any

from claude_max_proxy import Client
from claude_max_proxy.backends.claude_cli.parking import Parking


class FakeConversation:
    """All that parking looks at."""

    def __init__(self) -> None:
        self.process = object()


def park(parking: Parking, fingerprint: bytes, owner: Client = Client()) -> Any:  # noqa: B008  # frozen
    """Park a conversation and give it."""
    conversation: Any = FakeConversation()
    parking.park(conversation, fingerprint, owner, None)
    return conversation


def test_only_what_is_exactly_this() -> None:
    """A conversation is found by its own fingerprint alone, and once."""
    parking = Parking()
    conversation = park(parking, b"a")
    assert parking.take(b"b", Client()) is None
    taken = parking.take(b"a", Client())
    assert taken is not None
    assert taken.conversation is conversation
    assert parking.take(b"a", Client()) is None
    assert len(parking) == 0


def test_the_newest_of_many_alike() -> None:
    """Of conversations that are alike the newest is taken first, and each only once."""
    parking = Parking()
    first, second = park(parking, b"a"), park(parking, b"a")
    taken = [parking.take(b"a", Client()), parking.take(b"a", Client()), parking.take(b"a", Client())]
    assert [entry and entry.conversation for entry in taken] == [second, first, None]


def test_ones_own_of_many_alike() -> None:
    """Of conversations that are alike a session gets its own, a key one of its own, others the newest."""
    parking = Parking()
    alice = park(parking, b"a", Client("alice", session="1"))
    bob = park(parking, b"a", Client("bob", session="1"))
    bobs_other = park(parking, b"a", Client("bob", session="2"))
    newest = park(parking, b"a", Client("carol", session="3"))
    asking = [Client("bob", session="1"), Client("bob", session="9"), Client("dave"), Client("dave")]
    taken = [parking.take(b"a", client) for client in asking]
    assert [entry and entry.conversation for entry in taken] == [bob, bobs_other, newest, alice]


def test_the_oldest_goes_first() -> None:
    """Who needs a place takes the conversation parked longest ago."""
    parking = Parking()
    first, second = park(parking, b"a"), park(parking, b"b")
    assert [entry.conversation for entry in parking] == [first, second]
    taken = [parking.take_oldest(), parking.take_oldest(), parking.take_oldest()]
    assert [entry and entry.conversation for entry in taken] == [first, second, None]
    assert parking.take(b"a", Client()) is None


def test_by_its_process() -> None:
    """A process that ends takes its conversation with it."""
    parking = Parking()
    first, second = park(parking, b"a"), park(parking, b"a")
    taken = parking.take_process(first.process)
    assert taken is not None
    assert taken.conversation is first
    assert parking.take_process(first.process) is None
    remaining = parking.take(b"a", Client())
    assert remaining is not None
    assert remaining.conversation is second


def test_what_is_too_old() -> None:
    """All that wait longer than an age are taken, and no others."""
    parking = Parking()
    old, new = park(parking, b"a"), park(parking, b"b")
    next(iter(parking)).since -= 100
    assert [entry.conversation for entry in parking.take_older_than(50)] == [old]
    assert [entry.conversation for entry in parking] == [new]
