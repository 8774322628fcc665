"""Puts rows into the database, or into a file while the database is away, on the ledger's thread."""

from __future__ import annotations

import contextlib
import logging
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from claude_max_proxy.databases.urls import why
from claude_max_proxy.ledger.place import shown
from claude_max_proxy.ledger.row import Row
from claude_max_proxy.ledger.spill import Spill
from claude_max_proxy.ledger.usage import Gap, Unavailable


if TYPE_CHECKING:
    from claude_max_proxy.ledger.database import Database


T = TypeVar("T")
logger = logging.getLogger(__name__)

_FIRST_RETRY, _LAST_RETRY = 1.0, 60.0  # seconds
_PRUNED_AT_ONCE = 500  # rows
_DAY = 86_400


class Store:
    """One database with its spill. ``away`` says why the database cannot be reached; empty if it can."""

    def __init__(self, url: str, spill: Spill, keep_days: int) -> None:
        """Remember where; the database is opened when it is needed."""
        self._url = url
        self._spill = spill
        self.keep_days = keep_days
        self._database: Database | None = None
        self._pause = _FIRST_RETRY
        self._gap: Gap | None = None
        self._gap_id = ""
        self._adopted = False
        self.retry_at = 0.0
        self.away = ""
        self.written = 0
        self.lost = 0

    @property
    def spilled(self) -> int:
        """How many rows wait in the file."""
        return self._spill.rows

    @property
    def waits(self) -> bool:
        """Whether something waits for the database to come back."""
        return bool(self.away and (self._spill.rows or self._gap))

    # --- rows

    def keep(self, rows: Sequence[Row], *, now: bool = False) -> None:
        """Put rows into the database, or into the file if it is away; count those that have no place.

        A database that was away a moment ago is tried again only ``now``, if somebody waits for it.
        """
        if self.away and time.monotonic() < self.retry_at and not now:
            self._set_aside(rows)
            return
        try:
            self._catch_up()
            if rows:
                self._write(rows)
        except Exception as error:  # whatever is wrong with the database, the rows are not
            self._fail(error)
            self._set_aside(rows)

    def ask(self, question: Callable[[Database], T]) -> T:
        """Return what the database answers.

        Raises :class:`Unavailable` if it cannot be reached, and what is wrong with the question itself.
        """
        try:
            self._catch_up()
            database = self._open()
        except Exception as error:
            self._fail(error)
            raise Unavailable(self.away) from error
        try:
            return question(database)
        except Exception as error:
            if not _is_away(error):
                raise
            self._fail(error)
            raise Unavailable(self.away) from error

    def lose(self, count: int, reason: str) -> None:
        """Count rows that are lost, say so, and remember to mark the gap."""
        if not count:
            return

        now = time.time()
        if self._gap is None:
            self._gap_id = uuid.uuid4().hex
            logger.warning(
                "the ledger loses requests: %s; a row marks the gap when it can be written", reason
            )
        began, lost = (self._gap.began, self._gap.lost) if self._gap else (now, 0)
        self._gap = Gap(began=began, ended=now, lost=lost + count, reason=reason[:200])
        self.lost += count

    def close(self) -> None:
        """Close the database; what is in the file stays there for the next process."""
        self._spill.close()
        if self._database is not None:
            self._database.close()
        self._database = None

    # --- chores

    def chores(self) -> Iterator[None]:
        """Sum up the hours that are over, then prune; each step is small, and the last one ends it."""
        from claude_max_proxy.ledger import keeping

        database, now = self._open(), time.time()
        for hour in keeping.due(database, now):
            keeping.sum_up(database, hour)
            yield
        if self.keep_days:
            keeping.begin_pruning(database, now - self.keep_days * _DAY)
            while keeping.prune(database, _PRUNED_AT_ONCE):
                yield

    def do(self, chores: Iterator[None]) -> bool:
        """Take the next step of the chores; return whether there are more."""
        try:
            next(chores)
        except StopIteration:
            return False
        except Exception as error:  # they are only put off
            self._fail(error)
            return False
        return True

    # --- the database

    def _open(self) -> Database:
        if self._database is None:
            from claude_max_proxy.ledger.database import Database

            self._database = Database(self._url)
        return self._database

    def _catch_up(self) -> None:
        """Write what waits in files and the mark of a gap; raise what is wrong with the database."""
        self._open()
        if not self._adopted:
            for rows in self._spill.left_behind():
                self._write(rows)
            self._adopted = True
        if self._spill.rows:
            for rows in self._spill.chunks():
                self._write(rows)
            self._spill.clear()
        if self._gap is not None:
            self._mark(self._gap)
        if self.away:
            logger.warning("the ledger's database is back")
        self.away, self._pause = "", _FIRST_RETRY

    def _mark(self, gap: Gap) -> None:
        from claude_max_proxy.ledger import keeping

        keeping.write_gap(self._open(), self._gap_id, gap)
        logger.warning("the ledger lost %d requests: %s", gap.lost, gap.reason)
        self._gap = None

    def _write(self, rows: Sequence[Row]) -> None:
        from sqlalchemy.exc import DataError, IntegrityError

        from claude_max_proxy.ledger import keeping

        try:
            refused = keeping.write(self._open(), rows)
        except (DataError, IntegrityError):
            if len(rows) == 1:
                self.lose(1, "the database does not take the row")
                return
            for row in rows:  # one that it cannot store must not take the others with it
                self._write([row])
            return
        self.lose(refused, "they came after their time was pruned")
        self.written += len(rows) - refused

    def _fail(self, error: BaseException) -> None:
        told = why(error, self._url)
        if not self.away:
            logger.warning(
                "the ledger's database %s cannot be used, so rows wait: %s", shown(self._url), told
            )
        self.away = told
        self.retry_at = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _LAST_RETRY)
        if self._database is not None:
            with contextlib.suppress(Exception):  # it is broken anyway
                self._database.close()
            self._database = None

    def _set_aside(self, rows: Sequence[Row]) -> None:
        try:
            added = self._spill.add(rows)
            reason = "the database is away, and the file in which rows wait is full"
        except OSError as error:
            added, reason = (
                0,
                f"the database is away, and rows cannot wait on disk: {error.strerror or error}",
            )
        self.lose(len(rows) - added, reason)


def _is_away(error: Exception) -> bool:
    """Return whether an error is the database's, and not that of what was asked."""
    from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError

    of_question = isinstance(error, DataError | IntegrityError | ProgrammingError)
    return isinstance(error, DBAPIError | OSError) and not of_question
