"""Tells the other replicas something at once, by PostgreSQL's LISTEN and NOTIFY.

A message is small, has the name of its sender, and may get lost while a replica is not connected. So it only
says early what a table says too: whoever listens reads the table again whenever the channel is joined.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import msgspec
from psycopg import Error

from claude_max_proxy.concurrency.tasks import Tasks
from claude_max_proxy.shared.database import Connection, Database
from claude_max_proxy.shared.errors import Away


logger = logging.getLogger(__name__)

CHANNEL = "claude_max_proxy"
_LARGEST = 4_000  # bytes; PostgreSQL takes less than 8,000
_CHECK_EVERY, _CHECK_TIMEOUT = 10.0, 3.0  # seconds
_FIRST_RETRY, _LAST_RETRY = 0.25, 5.0
_SEND_TIMEOUT = 1.0


class Message(msgspec.Struct, frozen=True):
    """What is sent: who sends it, what it is about, and the rest as that says."""

    sender: str
    about: str
    body: msgspec.Raw


_message = msgspec.json.Decoder(Message)
Hear = Callable[[msgspec.Raw, str], None]


class Channel:
    """Sends messages to all other replicas, and hears theirs.

    ``on_join`` are called whenever the channel is joined, after which no message is missed until it is left.
    """

    def __init__(self, database: Database, sender: str) -> None:
        """Speak as ``sender``, which no other replica is called."""
        self._database = database
        self._sender = sender
        self._hearers: dict[str, Hear] = {}
        self._tasks = Tasks()
        self.joined = asyncio.Event()
        self.on_join: list[Callable[[], Awaitable[None]]] = []

    def hear(self, about: str, hear: Hear) -> None:
        """Call ``hear`` with the body and the sender of each message about this.

        A body that it does not understand, for which it raises ``msgspec.DecodeError``, is ignored.
        """
        self._hearers[about] = hear

    def open(self) -> None:
        """Begin to listen, in the background."""
        self._tasks.keep(self._listen, "shared-channel")

    async def close(self) -> None:
        """Listen no longer."""
        await self._tasks.close()

    async def send(self, about: str, body: msgspec.Struct) -> None:
        """Send a message to all other replicas; raise :class:`Away` if that is not possible."""
        text = self.written(about, body)

        async def notify(connection: Connection) -> None:
            await connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, text))

        await self._database.run(notify, _SEND_TIMEOUT)

    def written(self, about: str, body: msgspec.Struct) -> str:
        """Return a message as ``pg_notify`` takes it, for who sends it together with something else."""
        raw = msgspec.Raw(msgspec.json.encode(body))
        return msgspec.json.encode(Message(self._sender, about, raw)).decode()

    def receive(self, payload: str) -> None:
        """Hand a message to who hears about it; ignore our own, and what nobody understands."""
        if len(payload) > _LARGEST:
            return
        try:
            message = _message.decode(payload)
            hear = self._hearers.get(message.about)
            if message.sender != self._sender and hear is not None:
                hear(message.body, message.sender)
        except msgspec.DecodeError:
            logger.debug("a message on the channel %s is malformed", CHANNEL)

    async def _listen(self) -> None:
        """Join the channel again and again; while the database is away, wait until it is back."""
        pause = _FIRST_RETRY
        while True:
            if await self._database.wait(_CHECK_EVERY):
                try:
                    await self._stay(await self._database.connect())
                except (Away, Error, OSError, TimeoutError) as error:
                    logger.debug("the channel of the replicas is left: %s", type(error).__name__)
            if self.joined.is_set():
                pause = _FIRST_RETRY
            self.joined.clear()
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LAST_RETRY)

    async def _stay(self, connection: Connection) -> None:
        """Hear what is sent, until the connection breaks."""
        try:
            await asyncio.wait_for(connection.execute(f"LISTEN {CHANNEL}"), _CHECK_TIMEOUT)
            for tell in self.on_join:
                await tell()
            self.joined.set()
            while True:
                async with aclosing(connection.notifies(timeout=_CHECK_EVERY)) as heard:
                    async for one in heard:
                        self.receive(one.payload)
                # A connection can be dead without anybody saying so.
                await asyncio.wait_for(connection.execute("SELECT 1"), _CHECK_TIMEOUT)
        finally:
            connection.pgconn.finish()  # it sends nothing and waits for nothing
