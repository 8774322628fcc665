"""The queue that is fair between clients."""

from __future__ import annotations

from claude_max_proxy.backends.claude_cli.fair_queue import FairQueue


async def test_each_client_in_turn() -> None:
    """A client that asks much does not hold up one that asks little; each client's own order is kept."""
    queue: FairQueue[int, str] = FairQueue(10)
    a1, a2, a3, b1, c1, c2 = (queue.add(client, 0) for client in "aaabcc")
    assert list(queue) == [a1, b1, c1, a2, c2, a3]

    served = []
    while waiting := list(queue):
        served.append(waiting[0])
        queue.give(waiting[0], "here")
    assert served == [a1, b1, c1, a2, c2, a3]
    assert {wait.given.result() for wait in served} == {"here"}


async def test_one_that_is_served_out_of_turn() -> None:
    """A client that got something goes to the end of the line, whichever of its waits it was."""
    queue: FairQueue[int, str] = FairQueue(10)
    a1, a2, b1 = (queue.add(client, 0) for client in "aab")
    queue.give(a2, "here")
    assert list(queue) == [b1, a1]


async def test_it_is_bounded() -> None:
    """It says when it is full."""
    queue: FairQueue[int, str] = FairQueue(2)
    wait = queue.add("a", 1)
    assert (queue.full, wait.asked) == (False, 1)
    queue.add("b", 2)
    assert (queue.full, len(queue)) == (True, 2)
    queue.give(wait, "here")
    assert not queue.full


async def test_one_that_no_longer_waits() -> None:
    """A wait that was taken back is not served, and to take it back again does no harm."""
    queue: FairQueue[int, str] = FairQueue(10)
    first, second = queue.add("a", 1), queue.add("a", 2)
    queue.remove(first)
    queue.remove(first)
    assert list(queue) == [second]
    queue.remove(second)
    assert (list(queue), len(queue)) == ([], 0)


async def test_nothing_is_kept_of_those_who_left() -> None:
    """A client whose last wait is taken back starts anew at the end."""
    queue: FairQueue[int, str] = FairQueue(10)
    a = queue.add("a", 1)
    b = queue.add("b", 2)
    queue.remove(a)
    again = queue.add("a", 3)
    assert list(queue) == [b, again]


async def test_a_queue_of_nothing() -> None:
    """A queue of size 0 takes nobody."""
    queue: FairQueue[int, str] = FairQueue(0)
    assert queue.full
