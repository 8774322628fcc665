"""The queue that is fair between clients."""

from __future__ import annotations

from claude_max_proxy.backends.claude_cli.fair_queue import FairQueue


async def test_each_client_in_turn() -> None:
    """A client that asks much does not hold up one that asks little; each client's own order is kept."""
    queue = FairQueue(10)
    a1, a2, a3, b1, c1, c2 = (queue.add(client) for client in "aaabcc")
    assert [queue.next() for _ in range(7)] == [a1, b1, c1, a2, c2, a3, None]


async def test_it_is_bounded() -> None:
    """It says when it is full."""
    queue = FairQueue(2)
    queue.add("a")
    assert not queue.full
    queue.add("b")
    assert (queue.full, len(queue)) == (True, 2)
    queue.next()
    assert not queue.full


async def test_one_that_no_longer_waits() -> None:
    """A wait that was taken back or is done is not given."""
    queue = FairQueue(10)
    first, second, third = (queue.add("a") for _ in range(3))
    queue.remove("a", first)
    queue.remove("a", first)
    queue.remove("nobody", first)
    second.cancel()
    assert queue.next() is third
    assert (queue.next(), len(queue)) == (None, 0)


async def test_nothing_is_kept_of_those_who_left() -> None:
    """A client whose last wait is taken back starts anew at the end."""
    queue = FairQueue(10)
    a = queue.add("a")
    b = queue.add("b")
    queue.remove("a", a)
    again = queue.add("a")
    assert [queue.next(), queue.next()] == [b, again]


async def test_a_queue_of_nothing() -> None:
    """A queue of size 0 takes nobody."""
    assert FairQueue(0).full
