"""The configuration in force, and how another replaces it without losing a request.

A generation is one runtime and its application. A new generation is built and started before it takes over.
The old one finishes its requests, and what no generation uses any more is stopped.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import msgspec
from litestar.types import Receive, Scope, Send

from claude_max_proxy.concurrency import threads
from claude_max_proxy.concurrency.endings import described, is_asked_for
from claude_max_proxy.concurrency.tasks import Tasks
from claude_max_proxy.config import Config
from claude_max_proxy.context import Reload
from claude_max_proxy.errors import ConfigError
from claude_max_proxy.plugin.blame import Blame
from claude_max_proxy.plugin.drop_ins import DropIns, Stamp
from claude_max_proxy.plugin.stall_watch import StallWatch
from claude_max_proxy.runtime.runtime import Runtime, plugin_folders
from claude_max_proxy.server.app import Application, build_app
from claude_max_proxy.server.examining import everything
from claude_max_proxy.server.guards import check_reach
from claude_max_proxy.server.reloading.changes import told
from claude_max_proxy.server.reloading.doors import opened
from claude_max_proxy.server.reloading.reading import Reading, read
from claude_max_proxy.server.reloading.watched import Watched


logger = logging.getLogger(__name__)

_STAYS = "the configuration stays as it was: %s"
_POLL = 0.4
_PATIENCE = 2.0
_MOST_ROUNDS = 20


class Generation(msgspec.Struct, eq=False):
    """One configuration at work, and the number of ``requests`` that it is answering.

    ``empty`` says that its file exists but contains no setting. ``idle`` is set when the last request ends.
    ``stamps`` are those of its files, ``shared`` stands for the secrets in ``[shared]``, and ``waiting`` are
    the settings that come into force with another start.
    """

    runtime: Runtime
    app: Application
    empty: bool
    stamps: dict[Path, Stamp]
    shared: dict[str, bytes]
    waiting: list[str] = []
    requests: int = 0
    idle: asyncio.Event = msgspec.field(default_factory=asyncio.Event)


class Generations:
    """An ASGI application that serves the newest configuration that works.

    ``load`` reads the configuration, and raises :class:`ConfigError` if it cannot be used. Every ``poll``
    seconds the files are checked for changes. They are read when they have stayed the same for a quarter of
    that time. If a change would open something, as an incomplete file may, it only comes into force when the
    files have stayed the same for ``patience`` seconds.
    """

    def __init__(
        self,
        load: Callable[[], Config],
        *,
        poll: float = _POLL,
        patience: float = _PATIENCE,
        in_force: Callable[[Config], None] = lambda _: None,
    ) -> None:
        """Build the first generation; it is started together with the server.

        ``in_force`` is called with each further configuration that comes into force. Raises
        :class:`ConfigError` if the configuration cannot be used.
        """
        self._load = load
        self._poll = poll
        self._patience = patience
        self._in_force = in_force
        self._watched: Watched
        self._seen: dict[Path, Stamp]
        self._tasks = Tasks()
        self._stalls = StallWatch(Blame(lambda: self.runtime.plugins).tell)
        self._changing = asyncio.Lock()
        self._ending = asyncio.Lock()
        self._current = self._build()
        self._alive = [self._current]
        self.retired = 0  # how many generations have ended because another replaced them

    @property
    def runtime(self) -> Runtime:
        """The runtime of the configuration in force."""
        return self._current.runtime

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request with the configuration that is in force when it arrives."""
        if scope["type"] == "lifespan":  # type: ignore[comparison-overlap]  # the server sends it too
            await self._live(cast("Any", receive), cast("Any", send))
            return

        generation = self._current
        generation.requests += 1
        try:
            await generation.app(scope, receive, send)
        finally:
            generation.requests -= 1
            if not generation.requests:
                generation.idle.set()

    async def reload(self) -> None:
        """Put the configuration on disk into force; if it cannot be used, log that and change nothing."""
        async with self._changing:
            await self._settled()
            old = self._current
            try:
                new = await self._rebuild(old)
                if not await self._is_meant(old, new):
                    return
                await new.runtime.start()
            except BaseException as error:  # whatever fails, the old configuration must stay in force
                if is_asked_for(error):
                    raise
                await self._tell(old, error)
                return

            self._current = new
            self._in_force(new.runtime.config)
            self._alive.append(new)
            self._revoke(old, new)
            changes = told(old.runtime.config, new.runtime.config, old.stamps, new.stamps, new.waiting)
            new.runtime.context.reload = Reload(time.time(), changes)
            await new.runtime.configured(old.runtime)
            logger.info("the configuration is reloaded: %s", "; ".join(changes))
            self._tasks.start(self._retire(old), "retire")

    def stop_soon(self) -> None:
        """Tell load balancers that new requests should go elsewhere."""
        for generation in self._alive:
            generation.runtime.stopping = True

    def end_streams(self) -> None:
        """End the streams that nobody waits for the end of, since the server is going to stop."""
        for generation in self._alive:
            generation.app.running.end_streams()

    def reload_soon(self) -> None:
        """Reload in the background; this is for signal handlers."""
        self._tasks.start(self.reload(), "reload")

    # --- a generation's life

    def _build(self) -> Generation:
        """Build the first generation."""
        reading = self._take(read(self._load, None))
        return self._assemble(reading, None, DropIns(plugin_folders(reading.config)))

    async def _rebuild(self, before: Generation) -> Generation:
        """Build the next generation; its files are read and its plugins imported on threads.

        Either may take long, and importing may never end.
        """
        self._seen = self._watched.stamps()  # what cannot be read is not read again before it changes
        reading = await threads.run(partial(read, self._load, self._watched), "read-configuration")
        reading = self._take(reading.after(before.runtime.config, before.shared, empty=before.empty))
        load = partial(DropIns, plugin_folders(reading.config), before.runtime.drop_ins)
        return self._assemble(reading, before.runtime, await threads.run(load, "import-plugins"))

    def _take(self, reading: Reading) -> Reading:
        """Watch the files that were read. Raises :class:`ConfigError` if the server may not use them."""
        self._watched, self._seen = reading.watched, reading.stamps
        check_reach(reading.config.server)
        return reading

    def _assemble(self, reading: Reading, before: Runtime | None, drop_ins: DropIns) -> Generation:
        runtime = Runtime(reading.config, before, drop_ins)
        runtime.task_problems = lambda: self._tasks.problems
        application = build_app(runtime)
        if before is not None and self._watched.stamps() != self._seen:
            raise ConfigError("a file changed while it was read")  # the watch then reads it again
        return Generation(
            runtime, application, reading.empty, reading.stamps, reading.shared, reading.waiting
        )

    async def _tell(self, old: Generation, error: BaseException) -> None:
        """Log why the new configuration does not take effect, each mistake on its own line."""
        if not isinstance(error, ConfigError):
            old.runtime.problem = described(error)
            logger.error(_STAYS, old.runtime.problem, exc_info=error)
            return

        whole = await threads.run(
            partial(everything, error, self._load, before=old.runtime), "examine-configuration"
        )
        old.runtime.problem = str(whole)
        for message in whole.told:
            logger.error(_STAYS, message)

    async def _is_meant(self, old: Generation, new: Generation) -> bool:
        """Return whether the new configuration may come into force.

        If it opens something, wait whether the files stay the same. If one changes meanwhile, it will be read
        again soon anyway.
        """
        doors = opened(old.runtime.config, new.runtime.config, old.app.keys, new.app.keys)
        if not doors:
            return True

        told = ", and ".join(doors)
        logger.warning("the new configuration %s: it is in force if it stays for %g s", told, self._patience)
        for _ in range(math.ceil(4 * self._patience / self._poll)):
            await asyncio.sleep(self._poll / 4)
            if self._watched.stamps() != self._seen:
                return False
        return True

    def _revoke(self, old: Generation, new: Generation) -> None:
        """Forget what belongs to keys that no longer exist, and end the answers to them."""
        owners = new.app.keys.owners
        ended = sum(generation.app.running.keep_only(owners) for generation in self._alive)
        new.runtime.keep_only(owners)
        if lost := old.app.keys.lost(owners):
            logger.info("API keys removed or changed: %s; running answers ended: %d", ", ".join(lost), ended)

    async def _retire(self, generation: Generation) -> None:
        """Wait until the generation has finished its requests, however long that takes, then end it."""
        generation.app.running.end_streams()
        while generation.requests:
            generation.idle.clear()
            await generation.idle.wait()
        await asyncio.shield(self._end(generation))  # the end of a generation must not be interrupted

    async def _end(self, generation: Generation) -> None:
        """Stop the parts of a generation that no other one uses."""
        async with self._ending:
            if generation not in self._alive:
                return

            self._alive.remove(generation)
            others = [other.runtime for other in self._alive]
            await generation.runtime.plugins.shutdown(
                [plugin.module for runtime in others for plugin in runtime.plugins]
            )
            await generation.runtime.stop(
                [backend for runtime in others for backend in runtime.backends.values()]
            )
            self.retired += 1

    async def _live(
        self, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        await receive()
        self._stalls.start()
        try:
            await self.runtime.start()
            await self.runtime.configured(None)
        except BaseException as error:
            if is_asked_for(error):
                raise
            logger.exception("the server cannot start")
            self._stalls.stop()
            await self.runtime.close()
            message = str(error) if isinstance(error, ConfigError) else described(error)
            await send({"type": "lifespan.startup.failed", "message": message})
            return

        self._tasks.keep(self._watch, "watch-configuration")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._tasks.close()
        for generation in list(self._alive):
            await self._end(generation)
        await self.runtime.close()
        self._stalls.stop()
        await send({"type": "lifespan.shutdown.complete"})

    # --- watching

    async def _watch(self) -> None:
        """Reload whenever a file of the configuration has changed."""
        while True:
            await asyncio.sleep(self._poll)
            if self._watched.stamps() != self._seen:
                # This is a separate task, since a plugin may cancel the task in which it is imported.
                await self._tasks.start(self.reload(), "reload")

    async def _settled(self) -> None:
        """Wait until nobody writes the files: an incomplete file can be valid too."""
        stamps = self._watched.stamps()
        for _ in range(_MOST_ROUNDS):
            await asyncio.sleep(self._poll / 4)
            before, stamps = stamps, self._watched.stamps()
            if stamps == before:
                return
