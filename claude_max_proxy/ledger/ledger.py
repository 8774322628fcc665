"""The ledger as plugins use it: it takes records, and answers questions about them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from claude_max_proxy.concurrency import threads
from claude_max_proxy.ledger.place import file_of_url, shown, user_folder
from claude_max_proxy.ledger.row import Row
from claude_max_proxy.ledger.spill import MOST_BYTES, Spill
from claude_max_proxy.ledger.store import Store
from claude_max_proxy.ledger.usage import By, Cursor, Gap, Spent, State, Unavailable, Usage, Where
from claude_max_proxy.ledger.writer import Writer
from claude_max_proxy.record import Record


if TYPE_CHECKING:
    from claude_max_proxy.ledger.database import Database


logger = logging.getLogger(__name__)

_LONGEST_ANSWER = 30.0  # seconds
_PAGE = 1000  # rows
_ANY = Where()


class Ledger:
    """One row for each finished request.

    Every question sees all records that were added before it. Each raises :class:`Unavailable` if the
    database cannot be reached, or takes longer than half a minute.
    """

    def __init__(
        self, url: str, keep_days: int = 90, *, folder: Path | None = None, most_bytes: int = MOST_BYTES
    ) -> None:
        """Prepare; the database is opened, on a thread, when somebody first needs it.

        ``url`` is one as :func:`claude_max_proxy.ledger.place.find_url` returns it. Rows are deleted after
        ``keep_days``, 0 keeps them; the sums of each hour stay. While the database is away, at most
        ``most_bytes`` of rows wait in a file in ``folder``.
        """
        self.url = url
        self._spill_folder = folder or user_folder()
        self._most_bytes = most_bytes
        self._writer = Writer(Store(url, Spill(self._spill_folder, url, most_bytes), keep_days))

    def add(self, record: Record) -> None:
        """Take the record of a finished request; this takes microseconds and never waits."""
        self._writer.add(record)

    @property
    def is_new(self) -> bool:
        """Whether the database is a file that does not exist yet."""
        file = file_of_url(self.url)
        return file is not None and not file.exists()

    def keep_for(self, days: int) -> None:
        """Delete rows after so many days from now on; 0 keeps them."""
        self._writer.store.keep_days = days

    # --- questions

    async def requests(
        self, where: Where = _ANY, limit: int = 100, before: Cursor | None = None
    ) -> list[Row]:
        """Return requests, the newest first. For the next page, ``before`` is the last one's ``cursor``."""
        found: list[Row] = await self._ask("requests", where, limit, before)
        return found

    async def request(self, id: str) -> Row | None:
        """Return the request with this id; ``None`` if there is none, or if it was deleted."""
        found: Row | None = await self._ask("request", id)
        return found

    async def usage(self, by: By, since: float, until: float, where: Where = _ANY) -> list[Usage]:
        """Return the sums of the requests that began between two times, by group.

        Hours and days are local ones, in their order; hours and days without requests are left out. Other
        groups come with the largest number of tokens first. For times whose requests were deleted, whole
        hours count, and neither sessions, replicas, codes, outcomes nor upstream models are known.
        """
        found: list[Usage] = await self._ask("usage", by, since, until, where)
        return found

    async def spent(self, since: float, where: Where = _ANY) -> Spent:
        """Return the sum of all requests that began at this time or later, for a budget."""
        found: Spent = await self._ask("spent", since, where)
        return found

    async def gaps(self, since: float, until: float) -> list[Gap]:
        """Return where requests are missing between two times, the oldest first."""
        found: list[Gap] = await self._ask("gaps", since, until)
        return found

    async def identity(self) -> str:
        """Return what tells this ledger from any other: a text that it keeps for good."""
        found: str = await self._ask("identity")
        return found

    async def export(self, where: Where = _ANY) -> AsyncIterator[Row]:
        """Yield all requests, the newest first, without keeping many of them in memory."""
        before: Cursor | None = None
        while rows := await self.requests(where, _PAGE, before):
            for row in rows:
                yield row
            before = rows[-1].cursor

    def state(self) -> State:
        """Return how many rows wait or are lost, and whether the database is away."""
        store, writer = self._writer.store, self._writer
        return State(
            place=shown(self.url),
            waiting=writer.waiting + store.spilled,
            spilled=store.spilled,
            written=store.written,
            lost=store.lost + writer.overflowed,
            away=store.away,
        )

    # --- the end

    async def flush(self) -> None:
        """Wait until everything that was added so far is in the database."""
        await self._ask("nothing")

    async def close(self, deadline: float = 4.0) -> None:
        """Write everything, or set it aside in the file if that takes longer than ``deadline`` seconds."""
        self._writer.close()
        await threads.run(partial(self._end, deadline), "close-ledger")

    def _end(self, deadline: float) -> None:
        began = time.monotonic()
        if self._writer.ended.wait(deadline):
            return

        rows = self._writer.leftovers()
        spill = Spill(self._spill_folder, self.url, self._most_bytes)
        added = spill.add(rows)
        spill.close()
        took = time.monotonic() - began
        logger.warning(
            "the ledger did not end within %.1f s: %d of %d rows wait on disk", took, added, len(rows)
        )

    async def _ask(self, name: str, *arguments: Any) -> Any:
        answer = asyncio.wrap_future(self._writer.ask(partial(_query, name, arguments)))
        try:
            return await asyncio.wait_for(answer, _LONGEST_ANSWER)
        except TimeoutError as error:
            raise Unavailable(f"the database did not answer within {_LONGEST_ANSWER:g} s") from error


def _query(name: str, arguments: tuple[Any, ...], database: Database) -> Any:
    from claude_max_proxy.ledger import queries  # on the ledger's thread: it imports SQLAlchemy

    return getattr(queries, name)(database, *arguments)
