"""A queue that is fair between clients."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_max_proxy.backends.claude_cli.fair_queue import FairQueue, GaveWay, Wait


def added(queue: FairQueue[int, str], client: str, asked: int = 0) -> Wait[int, str]:
    """Add a wait to a queue that has room."""
    wait = queue.add(client, asked)
    assert wait is not None
    return wait


async def test_each_client_in_turn() -> None:
    """A client that asks a lot does not delay one that asks little; each client's own order is kept."""
    queue: FairQueue[int, str] = FairQueue(10)
    a1, a2, a3, b1, c1, c2 = (added(queue, client) for client in "aaabcc")
    assert list(queue) == [a1, b1, c1, a2, c2, a3]

    served = []
    while waiting := list(queue):
        served.append(waiting[0])
        queue.give(waiting[0], "here")
    assert served == [a1, b1, c1, a2, c2, a3]
    assert {wait.given.result() for wait in served} == {"here"}


async def test_one_that_is_served_out_of_turn() -> None:
    """A client that was served goes to the end of the line, whichever of its waits it was."""
    queue: FairQueue[int, str] = FairQueue(10)
    a1, a2, b1 = (added(queue, client) for client in "aab")
    queue.give(a2, "here")
    assert list(queue) == [b1, a1]


# Which clients wait (a letter for each wait), which one asks then, and which ones wait afterwards.
FULL = {
    "one who has as many": ("ab", "a", "ab"),
    "one who has more": ("aab", "a", "aab"),
    "one who has none, where all have one": ("abc", "d", "abcd"),
    "one who has none, where one has more": ("aab", "c", "abc"),
    "one who has fewer": ("aaab", "b", "aabb"),
    "one who would have as many as the greediest": ("aab", "b", "aab"),
    "the greediest of two": ("aabbb", "c", "aabbc"),
    "one who asks alone": ("a", "a", "a"),
    "one who asks beside another": ("a", "b", "ab"),
}


@pytest.mark.parametrize(("waiting", "asking", "after"), FULL.values(), ids=FULL)
async def test_a_full_queue(waiting: str, asking: str, after: str) -> None:
    """Each client has a place, and more only while no client has fewer; the newest request gives way."""
    queue: FairQueue[int, str] = FairQueue(len(waiting))
    waits = {number: added(queue, client, number) for number, client in enumerate(waiting)}

    found = queue.add(asking, len(waiting))

    assert "".join(sorted(wait.client for wait in queue)) == after
    assert (found is not None) == (after.count(asking) > waiting.count(asking))
    gone = [wait for wait in waits.values() if wait not in list(queue)]
    assert all(isinstance(wait.given.exception(), GaveWay) for wait in gone)
    for wait in gone:
        assert wait.asked == max(one.asked for one in waits.values() if one.client == wait.client)


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.booleans()), max_size=60), st.integers(1, 5))
async def test_nobody_is_shut_out(steps: list[tuple[str, bool]], size: int) -> None:
    """Whatever others do, a client without a wait gets a place, and a waiting client keeps at least one."""
    queue: FairQueue[int, str] = FairQueue(size)
    for client, serve in steps:
        counts = Counter(wait.client for wait in queue)
        assert queue.add(client, 0) or counts[client]
        after = Counter(wait.client for wait in queue)
        assert len(queue) <= max(size, len(after))
        assert all(after[one] for one in counts)
        if serve:
            queue.give(next(iter(queue)), "here")


async def test_it_is_bounded() -> None:
    """However many clients there are, the queue is bounded."""
    queue: FairQueue[int, str] = FairQueue(2)
    for number in range(1000):
        queue.add(str(number), 0)
    assert len(queue) < 100


async def test_one_that_no_longer_waits() -> None:
    """A wait that was removed is not served, and removing it again does no harm."""
    queue: FairQueue[int, str] = FairQueue(10)
    first, second = added(queue, "a"), added(queue, "a")
    queue.remove(first)
    queue.remove(first)
    assert list(queue) == [second]
    queue.remove(second)
    assert (list(queue), len(queue)) == ([], 0)


async def test_nothing_is_kept_of_those_who_left() -> None:
    """A client whose last wait was removed starts at the end of the line again."""
    queue: FairQueue[int, str] = FairQueue(10)
    a = added(queue, "a")
    b = added(queue, "b")
    queue.remove(a)
    again = added(queue, "a")
    assert list(queue) == [b, again]


async def test_a_queue_of_nothing() -> None:
    """A queue of size 0 accepts no wait."""
    queue: FairQueue[int, str] = FairQueue(0)
    assert queue.add("a", 1) is None
