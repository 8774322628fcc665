"""What one replica may reserve of one budget without asking the database. Pure.

The database has a row for a lease, which others see as reserved. A request takes its estimate out of it, and
what it has used is taken off for good, until the row is written again. So the row never holds less than what
this replica may use.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from claude_max_proxy.facts.spending import BOUNDLESS, Spent, Standing


USABLE = 3.0  # seconds after a row was written in which it may be spent; then others may think us dead soon
AGAIN = 1.0  # seconds after which a row is written again, so that it stays small as a budget is used up
_SHORTEST = 0.5  # seconds over which demand is measured
_LEAST = 4.0  # requests a second; whoever asks less often asks the database each time
_AHEAD = 1.0  # seconds of demand that are leased
_PART = 4  # all replicas together lease a quarter of what is left
_REQUESTS = 4  # a lease is for this many requests at least, or there is none
_RECALLED = 2.0  # seconds in which a budget is not leased again


class Lease:
    """A lease of one budget.

    ``room`` returns how much of the budget is left, and ``since`` how many seconds ago its periods began.
    ``running`` counts the requests that hold a part of it, and ``has_row`` says whether the database may have
    a row for it. Times are those of the monotonic clock.
    """

    def __init__(
        self, room: Callable[[Standing], Spent], since: Callable[[], Mapping[str, float]], now: float
    ) -> None:
        """Begin without anything to spend."""
        self.room, self.since = room, since
        self.running = 0
        self.written_at = -math.inf
        self._held = self._taken = self._consumed = Spent()
        self._asked, self._asked_for, self._asked_since = 0, Spent(), now
        self._rate, self._rate_of, self._largest = 0.0, Spent(), Spent()
        self._not_before = self._invalid_at = -math.inf
        self.has_row = False
        self._tokens = self._dollars = True  # whether they are limited

    # --- what a request does

    def fits(self, amount: Spent, now: float) -> bool:
        """Return whether a request has room in it."""
        amount = self._limited(amount)
        return (
            now - self.written_at < USABLE
            and self._taken.tokens + self._consumed.tokens + amount.tokens <= self._held.tokens
            and self._taken.dollars + self._consumed.dollars + amount.dollars <= self._held.dollars
        )

    def note(self, amount: Spent) -> None:
        """Count a request for which there should be room, so that the next lease is large enough."""
        amount = self._limited(amount)
        self._asked += 1
        self._asked_for = _plus(self._asked_for, amount)
        self._largest = _most(self._largest, amount)

    def take(self, amount: Spent) -> None:
        """Hold what a request may cost."""
        self.note(amount)
        self.running += 1
        self._taken = _plus(self._taken, self._limited(amount))

    def give_back(self, amount: Spent) -> None:
        """Hold it no longer."""
        self.running -= 1
        self._taken = _less(self._taken, self._limited(amount)) if self.running else Spent()

    def consume(self, amount: Spent) -> None:
        """Take off what was used and is not counted in the database yet."""
        self._consumed = _plus(self._consumed, self._limited(amount))

    # --- what is written

    @property
    def spare(self) -> Spent:
        """What nobody holds."""
        return _less(self._held, _plus(self._taken, self._consumed))

    def wants(self, now: float) -> bool:
        """Return whether requests come so often that a lease is worth it."""
        return self._asked >= _LEAST * max(now - self._asked_since, _SHORTEST)

    def is_due(self, now: float) -> bool:
        """Return whether the row should be written again: it is old, or half of what was leased is used."""
        if not self.has_row:
            return self.wants(now)
        if now - self.written_at >= AGAIN:
            return True
        spare, ahead = self.spare, _times(self._rate_of, _AHEAD / 2)
        low = spare.tokens < ahead.tokens or spare.dollars < ahead.dollars
        return low and now - self.written_at >= AGAIN / 5

    def recall(self, now: float) -> None:
        """Lease nothing for a moment, since another replica needs what is left."""
        self._not_before = now + _RECALLED
        self.invalidate(now)

    @property
    def is_recalled(self) -> bool:
        """Whether all that is spare is to be given back, for another replica needs it."""
        return self.written_at == -math.inf

    def invalidate(self, now: float) -> None:
        """Spend nothing of it until it is written again, since the database may have lost it."""
        self.written_at, self._invalid_at = -math.inf, now

    def shrink(self, unwritten: Spent, *, all_of_it: bool) -> Spent:
        """Begin to write the row again, and return what it must hold whatever comes after.

        That is what running requests hold, what is used but ``unwritten``, and half of what is spare, for
        requests that come meanwhile, unless ``all_of_it`` is to be given back.
        """
        self.has_row = True
        spare = Spent() if all_of_it else _times(self.spare, 0.5)
        self._consumed = self._limited(unwritten)
        self._held = _plus(_plus(self._taken, self._consumed), spare)
        return self._held

    def grow(self, room: Spent, replicas: int, began: float) -> Spent:
        """Return how much is added to the row, of the ``room`` that is left.

        The caller writes it, and then calls :meth:`written`.
        """
        self._tokens, self._dollars = room.tokens < BOUNDLESS.tokens, room.dollars < BOUNDLESS.dollars
        self._measure(began)
        if self._rate < _LEAST or began < self._not_before:
            return Spent()
        wanted = _most(_times(self._rate_of, _AHEAD), _times(self._largest, 2 * _REQUESTS))
        spare = _least(wanted, _times(room, 1 / (_PART * replicas)))
        least = _times(self._largest, _REQUESTS)
        if spare.tokens < least.tokens or spare.dollars < least.dollars:
            return Spent()
        return spare

    def written(self, more: Spent, began: float) -> None:
        """Spend this much more, of a row whose writing ``began`` then."""
        self._held = _plus(self._held, more)
        self.written_at = began if began > self._invalid_at else -math.inf

    @property
    def is_over(self) -> bool:
        """Whether nobody needs it any more."""
        return not self.running and not self._asked and self._consumed == Spent() == self.spare

    def is_idle(self, now: float) -> bool:
        """Return whether nobody has asked for a while, and there is no row."""
        return (
            not self.has_row and not self.running and now - self._asked_since > AGAIN and not self.wants(now)
        )

    def _limited(self, amount: Spent) -> Spent:
        """Return an amount without what has no limit."""
        if self._tokens and self._dollars:
            return amount
        return Spent(amount.tokens if self._tokens else 0, amount.dollars if self._dollars else 0.0)

    def _measure(self, now: float) -> None:
        """Learn how much is asked for in a second: at once if it is more, and slowly if it is less."""
        elapsed = max(now - self._asked_since, _SHORTEST)
        before = 0.5 if self._asked else 0.25
        self._rate = max(self._asked / elapsed, self._rate * before)
        self._rate_of = _most(_times(self._asked_for, 1 / elapsed), _times(self._rate_of, before))
        if not self._asked:
            self._largest = _times(self._largest, 0.5)
        self._asked, self._asked_for, self._asked_since = 0, Spent(), now


def _plus(one: Spent, other: Spent) -> Spent:
    return Spent(one.tokens + other.tokens, one.dollars + other.dollars)


def _less(one: Spent, other: Spent) -> Spent:
    return Spent(max(one.tokens - other.tokens, 0), max(one.dollars - other.dollars, 0.0))


def _most(one: Spent, other: Spent) -> Spent:
    return Spent(max(one.tokens, other.tokens), max(one.dollars, other.dollars))


def _least(one: Spent, other: Spent) -> Spent:
    return Spent(min(one.tokens, other.tokens), min(one.dollars, other.dollars))


def _times(one: Spent, factor: float) -> Spent:
    return Spent(int(one.tokens * factor), one.dollars * factor)
