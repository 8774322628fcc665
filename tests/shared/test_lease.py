"""The arithmetic of a lease: what may be spent of it, and how much is leased."""

from __future__ import annotations

import pytest

from claude_max_proxy.facts.spending import BOUNDLESS, Spent
from claude_max_proxy.shared.lease import AGAIN, USABLE, Lease


ONE = Spent(100, 0.25)


def lease() -> Lease:
    """Return a lease that nobody has used, at the time 0."""
    return Lease(lambda _: BOUNDLESS, dict, 0.0)


def granted(room: Spent, replicas: int = 1) -> Lease:
    """Return a lease after ten requests within a second, of a budget with this room."""
    one = lease()
    for _ in range(10):
        one.note(ONE)
    assert one.wants(1.0)
    one.shrink(Spent(), all_of_it=True)
    one.written(one.grow(room, replicas, 1.0), 1.0)
    return one


def spent_at_once(one: Lease, now: float) -> int:
    """Return for how many requests there is room."""
    count = 0
    while one.fits(ONE, now):
        one.take(ONE)
        count += 1
    return count


def test_how_much_is_leased() -> None:
    """A second's demand is, but no more than a part of what is left, for all replicas together."""
    assert granted(Spent(10**6, 10**6)).spare == Spent(1000, 2.5)
    assert granted(Spent(3600, 10**6)).spare == Spent(900, 2.5)
    assert granted(Spent(7200, 10**6), replicas=2).spare == Spent(900, 2.5)
    for little in (Spent(1500, 10**6), Spent(10**6, 3.9), Spent(-5, 10**6)):
        assert granted(little).spare == Spent()


def test_who_asks_seldom_leases_nothing() -> None:
    """One request in a while asks the database."""
    one = lease()
    one.note(ONE)
    assert not one.wants(1.0)
    assert one.grow(BOUNDLESS, 1, 1.0) == Spent()
    assert one.is_idle(1.0 + 2 * AGAIN)


def test_what_is_spent() -> None:
    """Requests have room until the lease is used up; what they have used is gone until it is written."""
    one = granted(Spent(10**6, 10**6))
    assert spent_at_once(one, 1.5) == 10
    one.give_back(ONE)
    one.consume(Spent(30, 0.0))
    assert not one.fits(ONE, 1.5)
    assert one.fits(Spent(70, 0.0), 1.5)
    one.consume(Spent(500, 0.0))  # it used more than was reserved
    assert one.spare == Spent(0, 0.25)


def test_what_has_no_limit() -> None:
    """Of a budget in tokens only, no dollars are counted."""
    one = granted(Spent(10**6, BOUNDLESS.dollars))
    one.consume(Spent(0, 1000.0))
    assert spent_at_once(one, 1.5) == 10


@pytest.mark.parametrize("how", ["old", "lost", "recalled"])
def test_when_it_may_not_be_spent(how: str) -> None:
    """A row that was written long ago, or that is lost, or that others need, is not spent."""
    one, now = granted(Spent(10**6, 10**6)), 1.5
    match how:
        case "old":
            now = 1.0 + USABLE
        case "lost":
            one.invalidate(1.2)
        case _:
            one.recall(1.2)
    assert not one.fits(ONE, now)
    assert one.is_due(now)
    one.shrink(Spent(), all_of_it=one.is_recalled)
    for _ in range(10):
        one.note(ONE)
    one.written(one.grow(Spent(10**6, 10**6), 1, now), now)
    assert one.fits(ONE, now) is (how != "recalled")


def test_when_it_is_written_again() -> None:
    """A row is written once requests come often, again when half a second's demand is left, and if it is old.

    It is not written again at once, however fast it is used up.
    """
    one = lease()
    one.note(ONE)
    assert not one.is_due(1.0)
    for _ in range(9):
        one.note(ONE)
    assert one.is_due(1.0)
    one = granted(Spent(10**6, 10**6))
    for _ in range(5):
        one.take(ONE)
    assert not one.is_due(1.0 + AGAIN / 2)
    one.take(ONE)
    assert not one.is_due(1.0 + AGAIN / 10)
    assert one.is_due(1.0 + AGAIN / 2)
    assert granted(Spent(10**6, 10**6)).is_due(1.0 + AGAIN)


def test_lost_while_it_is_written() -> None:
    """What was said while the row was written holds afterwards, too."""
    one = granted(Spent(10**6, 10**6))
    one.shrink(Spent(), all_of_it=False)
    more = one.grow(Spent(10**6, 10**6), 1, 2.0)
    one.recall(2.01)
    one.written(more, 2.0)
    assert not one.fits(ONE, 2.02)


def test_while_it_is_written() -> None:
    """Until it is written, no more is spent than the old row and the new one allow."""
    one = granted(Spent(10**6, 10**6))
    one.take(ONE)
    one.take(ONE)
    one.give_back(ONE)
    one.consume(Spent(60, 0.0))
    assert one.shrink(Spent(10, 0.0), all_of_it=False) == Spent(100 + 10 + 420, 0.25 + 1.125)
    assert one.spare == Spent(420, 1.125)
    assert one.shrink(Spent(), all_of_it=True) == Spent(100, 0.25)
    assert not one.fits(Spent(1, 0.0), 1.5)


def test_demand_that_ends() -> None:
    """When nobody asks any more, less and less is leased, and then nothing."""
    one, now = granted(Spent(10**6, 10**6)), 1.0
    while one.spare != Spent():
        now += AGAIN
        assert one.is_due(now)
        one.shrink(Spent(), all_of_it=False)
        one.shrink(Spent(), all_of_it=True)
        one.written(one.grow(Spent(10**6, 10**6), 1, now), now)
        assert now < 10
    assert one.is_over
