"""Parked conversations."""

from __future__ import annotations

from typing import Any

from claude_max_proxy.backends.claude_cli.parking import Parking


class FakeConversation:
    """All that parking looks at."""

    def __init__(self) -> None:
        self.process = object()


def park(parking: Parking, fingerprint: bytes) -> Any:
    """Park a conversation and give it."""
    conversation: Any = FakeConversation()
    parking.park(conversation, fingerprint, None)
    return conversation


def test_only_what_is_exactly_this() -> None:
    """A conversation is found by its own fingerprint alone, and once."""
    parking = Parking()
    conversation = park(parking, b"a")
    assert parking.take(b"b") is None
    taken = parking.take(b"a")
    assert taken is not None
    assert taken.conversation is conversation
    assert parking.take(b"a") is None
    assert len(parking) == 0


def test_the_newest_of_many_alike() -> None:
    """Of conversations that are alike the newest is taken first, and each only once."""
    parking = Parking()
    first, second = park(parking, b"a"), park(parking, b"a")
    taken = [parking.take(b"a"), parking.take(b"a"), parking.take(b"a")]
    assert [entry and entry.conversation for entry in taken] == [second, first, None]


def test_the_oldest_goes_first() -> None:
    """Who needs a place takes the conversation parked longest ago."""
    parking = Parking()
    first, second = park(parking, b"a"), park(parking, b"b")
    assert [entry.conversation for entry in parking] == [first, second]
    taken = [parking.take_oldest(), parking.take_oldest(), parking.take_oldest()]
    assert [entry and entry.conversation for entry in taken] == [first, second, None]
    assert parking.take(b"a") is None


def test_by_its_process() -> None:
    """A process that ends takes its conversation with it."""
    parking = Parking()
    first, second = park(parking, b"a"), park(parking, b"a")
    taken = parking.take_process(first.process)
    assert taken is not None
    assert taken.conversation is first
    assert parking.take_process(first.process) is None
    remaining = parking.take(b"a")
    assert remaining is not None
    assert remaining.conversation is second


def test_what_is_too_old() -> None:
    """All that wait longer than an age are taken, and no others."""
    parking = Parking()
    old, new = park(parking, b"a"), park(parking, b"b")
    next(iter(parking)).since -= 100
    assert [entry.conversation for entry in parking.take_older_than(50)] == [old]
    assert [entry.conversation for entry in parking] == [new]
