"""The ledger's own thread: it takes what others put down, writes it in batches, and answers questions.

While there is nothing to do, it sleeps without a time limit.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from claude_max_proxy.ledger.prices import price_of
from claude_max_proxy.ledger.row import Row, row_of
from claude_max_proxy.ledger.store import Store
from claude_max_proxy.ledger.usage import Unavailable
from claude_max_proxy.record import Record


if TYPE_CHECKING:
    from claude_max_proxy.ledger.database import Database


T = TypeVar("T")
Question = tuple[Callable[["Database"], Any], "Future[Any]"]

MOST_WAITING = 10_000  # records in memory
_BATCH = 500  # rows in one transaction
_GATHERED = 0.2  # seconds in which records gather to a batch
_BETWEEN_CHORES = 0.02  # seconds
_HOUR = 3600


class Writer:
    """Gets records and questions from any thread; only its own thread touches the store."""

    def __init__(self, store: Store) -> None:
        """Prepare; the thread starts with the first record or question."""
        self.store = store
        self._records: deque[Record] = deque()
        self._questions: deque[Question] = deque()
        self._batch: list[Row] = []
        self._overflowed = self._reported = 0  # two, since only one thread may change a number
        self._wake, self._hurry = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._closing = False
        self.ended = threading.Event()

    @property
    def waiting(self) -> int:
        """How many rows are in memory and in no database."""
        return len(self._records) + len(self._batch)

    @property
    def overflowed(self) -> int:
        """How many records found no room in memory and are not reported as lost yet."""
        return self._overflowed - self._reported

    def add(self, record: Record) -> None:
        """Take a record; this never waits."""
        if len(self._records) >= MOST_WAITING or self._closing:
            self._overflowed += 1
        else:
            self._records.append(record)
        if not self._wake.is_set() and not self._closing:
            self._wake_up()

    def ask(self, question: Callable[[Database], T]) -> Future[T]:
        """Let the thread ask the database, after all that was added before; return the answer's future."""
        answer: Future[T] = Future()
        if self._closing:
            answer.set_exception(Unavailable("the ledger is closed"))
            return answer

        self._questions.append((question, answer))
        self._hurry.set()
        self._wake_up()
        return answer

    def close(self) -> None:
        """Let the thread write or set aside what there is, and end; :attr:`ended` says when it has."""
        self._closing = True
        self._hurry.set()
        if self._thread is None:
            self.ended.set()
        self._wake.set()

    def leftovers(self) -> list[Row]:
        """Return the rows that a thread which does not end has not written, as far as anybody knows."""
        return [*self._batch, *(row_of(record) for record in self._records.copy())]

    def _wake_up(self) -> None:
        self._wake.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
            self._thread.start()

    # --- on the thread

    def _run(self) -> None:
        chores: Iterator[None] | None = None
        hour = 0
        try:
            while not (self._closing and not self._records and not self._questions):
                self._sleep(chores is not None)
                asked = len(self._questions)  # later ones may be about records that are not written now
                wrote = self._write()
                self._answer(asked)
                if chores is not None and not self.store.do(chores):
                    chores = None
                if self.store.away:
                    hour = 0  # the chores begin again when the database is back
                if wrote and not self.store.away and hour != (hour := int(time.time() // _HOUR)):
                    chores = self.store.chores()
        finally:
            self.store.close()
            self.ended.set()
            self._refuse()

    def _sleep(self, has_chores: bool) -> None:
        """Wait until there is something to do; records wait a little longer, so that they gather."""
        if not self._closing:
            self._wake.wait(self._patience(has_chores))
        self._wake.clear()
        if self._records and len(self._records) < _BATCH and not self._questions and not self._closing:
            self._hurry.wait(_GATHERED)
        self._hurry.clear()

    def _patience(self, has_chores: bool) -> float | None:
        if has_chores:
            return _BETWEEN_CHORES
        if self.store.waits:
            return max(self.store.retry_at - time.monotonic(), _BETWEEN_CHORES)
        return None

    def _write(self) -> bool:
        """Write what was there at the beginning, in batches; return whether there was anything."""
        if overflowed := self.overflowed:
            self._reported += overflowed
            self.store.lose(overflowed, "more requests ended at once than the ledger can keep in memory")
        left = len(self._records)
        if not left and self.store.waits and time.monotonic() >= self.store.retry_at:
            self.store.keep([])
            return True
        began = bool(left)
        while left > 0:
            taken = min(left, _BATCH)
            self._batch = [row for _ in range(taken) if (row := self._row(self._records.popleft()))]
            self.store.keep(self._batch, now=bool(self._questions))
            self._batch = []
            left -= taken
        return began

    def _row(self, record: Record) -> Row | None:
        models = (record.answered_by, record.upstream_model)
        try:
            return row_of(record, price_of(record.usage, models, record.began))
        except Exception as error:  # a plugin may have made a record of anything; the others still count
            self.store.lose(1, f"a record cannot be kept: {type(error).__name__}")
            return None

    def _answer(self, asked: int) -> None:
        for _ in range(asked):
            question, answer = self._questions.popleft()
            if not answer.set_running_or_notify_cancel():
                continue
            try:
                answer.set_result(self.store.ask(question))
            except BaseException as error:  # it belongs to whoever asked
                answer.set_exception(error)

    def _refuse(self) -> None:
        while self._questions:
            _, answer = self._questions.popleft()
            if answer.set_running_or_notify_cancel():
                answer.set_exception(Unavailable("the ledger is closed"))
