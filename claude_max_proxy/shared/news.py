"""What replicas tell each other and what holds for a while: in a table for later ones, and at once.

Only durations are sent, so clocks that differ do no harm. What is heard is never told on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta
from psycopg import Error

from claude_max_proxy.concurrency.tasks import Tasks
from claude_max_proxy.shared.channel import CHANNEL, Channel
from claude_max_proxy.shared.database import Connection, Database
from claude_max_proxy.shared.errors import Away


logger = logging.getLogger(__name__)

Text = Annotated[str, Meta(max_length=300)]
Span = Annotated[float, Meta(ge=0, le=40 * 86_400)]  # seconds
_MOST_UNTOLD = 1000
_TIMEOUT = 2.0
_RETRY = 1.0

_TELL = """
WITH told AS (
    INSERT INTO shared_news (about, key, body, made, until)
    VALUES (%(about)s, %(key)s, %(body)s, now(), now() + make_interval(secs => %(left)s))
    ON CONFLICT (about, key) DO UPDATE
    SET body = excluded.body, made = excluded.made, until = excluded.until
)
SELECT pg_notify(%(channel)s, %(message)s)
"""
_READ = """
SELECT body, extract(epoch FROM now() - made)::float8, extract(epoch FROM until - now())::float8
FROM shared_news WHERE about = %s AND until > now()
"""
_PRUNE = "DELETE FROM shared_news WHERE until < now()"


class Note(msgspec.Struct, frozen=True):
    """One piece of news as it is sent: for how many seconds it holds, and the rest."""

    left: Span
    body: msgspec.Raw


class _Untold(msgspec.Struct, frozen=True):
    body: bytes
    until: float  # by the monotonic clock


_note = msgspec.json.Decoder(Note)
Hear = Callable[[bytes, float, float], None]


class News:
    """The news about one matter. The newest about a key holds.

    ``hear`` is called with what another replica tells: the body, its age, and for how long it holds, in
    seconds. If it raises ``msgspec.DecodeError``, the news is ignored.
    """

    def __init__(self, database: Database, channel: Channel, about: str, hear: Hear) -> None:
        """Tell and hear news about this matter."""
        self._database = database
        self._channel = channel
        self._about = about
        self._hear = hear
        self._untold: dict[str, _Untold] = {}
        self._wake = asyncio.Event()
        self._tasks = Tasks()
        channel.hear(about, self._heard)
        channel.on_join.append(self._read)

    def open(self) -> None:
        """Begin to tell."""
        self._tasks.keep(self._tell_on, f"shared-news-{self._about}")

    async def close(self) -> None:
        """Tell nothing more."""
        await self._tasks.close()

    def tell(self, key: str, body: msgspec.Struct, left: float) -> None:
        """Tell all other replicas soon, or when the database is back if it holds for so long."""
        if key not in self._untold and len(self._untold) >= _MOST_UNTOLD:
            return
        self._untold[key] = _Untold(msgspec.json.encode(body), time.monotonic() + left)
        self._wake.set()

    async def _tell_on(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            for key, one in list(self._untold.items()):
                left = one.until - time.monotonic()
                if left > 0:
                    try:
                        await self._tell(key, one.body, left)
                    except (Away, Error) as error:
                        logger.debug("no news of %s now: %s", self._about, type(error).__name__)
                        self._wake.set()
                        await asyncio.sleep(_RETRY)
                        break
                if self._untold.get(key) is one:
                    del self._untold[key]

    async def _tell(self, key: str, body: bytes, left: float) -> None:
        message = self._channel.written(self._about, Note(left, msgspec.Raw(body)))
        values = {
            "about": self._about,
            "key": key[:300],
            "body": body.decode(),
            "left": left,
            "channel": CHANNEL,
            "message": message,
        }

        async def tell(connection: Connection) -> None:
            await connection.execute(_TELL, values)

        await self._database.run(tell, _TIMEOUT)

    def _heard(self, raw: msgspec.Raw, _sender: str) -> None:
        note = _note.decode(raw)
        self._hear(bytes(note.body), 0.0, note.left)

    async def _read(self) -> None:
        """Read what was told before the channel was joined."""

        async def read(connection: Connection) -> list[tuple[str, float, float]]:
            await connection.execute(_PRUNE)
            rows = await (await connection.execute(_READ, (self._about,))).fetchall()
            return [(str(body), float(age), float(left)) for body, age, left in rows]

        try:
            found = await self._database.run(read, _TIMEOUT)
        except Error as error:
            raise Away(type(error).__name__) from error
        for body, age, left in found:
            try:
                self._hear(body.encode(), max(age, 0.0), left)
            except msgspec.DecodeError:
                logger.debug("a row of news about %s is malformed", self._about)
