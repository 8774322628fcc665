"""The configuration in force, and how another takes its place without losing a request.

A generation is one runtime and its application. A new one is built and started first, then takes over; the
old one finishes its requests, and what no generation uses any more is stopped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import msgspec
from litestar.types import ASGIApp, Receive, Scope, Send

from claude_max_proxy.config import Config, ServerConfig
from claude_max_proxy.drop_ins import Stamp, stamp_of
from claude_max_proxy.errors import ConfigError
from claude_max_proxy.runtime import Runtime, plugin_folders
from claude_max_proxy.server.app import build_app
from claude_max_proxy.server.guards import check_reach
from claude_max_proxy.tasks import Tasks


logger = logging.getLogger(__name__)

_POLL = 0.4
_MOST_ROUNDS = 20
# What is fixed while the process runs.
_FIXED = ("host", "port", "unix_socket", "tls_certificate", "tls_key")


class Generation(msgspec.Struct, eq=False):
    """One configuration at work, and how many requests it answers just now."""

    runtime: Runtime
    app: ASGIApp
    requests: int = 0
    idle: asyncio.Event = msgspec.field(default_factory=asyncio.Event)


class Live:
    """An ASGI application that serves the newest good configuration.

    ``load`` reads the configuration anew; it raises :class:`ConfigError` for one that cannot be. Every
    ``poll`` seconds the files are looked at; they are read when they stay the same for a quarter of that.
    """

    def __init__(self, load: Callable[[], Config], *, poll: float = _POLL) -> None:
        """Build the first configuration; nothing is started before the server's own start."""
        self._load = load
        self._poll = poll
        self._watched = load()
        self._seen: dict[Path, Stamp] = {}
        self._tasks = Tasks()
        self._changing = asyncio.Lock()
        self._ending = asyncio.Lock()
        self._current = self._build(None)
        self._alive = [self._current]

    @property
    def runtime(self) -> Runtime:
        """The configuration in force."""
        return self._current.runtime

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request by the configuration in force when it came."""
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
        """Put what is on disk in force; what cannot be changes nothing and is logged."""
        async with self._changing:
            await self._settled()
            old = self._current
            try:
                new = self._build(old.runtime)
                await new.runtime.start()
            except Exception as error:  # the boundary: what is in force must go on, and be watched
                old.runtime.problem = str(error) if isinstance(error, ConfigError) else repr(error)
                logger.error(
                    "the configuration stays as it was: %s",
                    old.runtime.problem,
                    exc_info=None if isinstance(error, ConfigError) else error,
                )
                return

            self._current = new
            self._alive.append(new)
            await new.runtime.plugins.configured(old.runtime.config, new.runtime.config)
            logger.info("the configuration is reloaded")
            self._tasks.start(self._retire(old), "retire")

    def reload_soon(self) -> None:
        """Reload in the background: for signals."""
        self._tasks.start(self.reload(), "reload")

    # --- a generation's life

    def _build(self, before: Runtime | None) -> Generation:
        self._seen = self._stamps(self._watched)
        self._watched = self._load()
        self._seen = self._stamps(self._watched)
        config = self._load()  # once more, now that we know that what we know of it is not newer
        if before is not None:
            config = _with_fixed(config, before.config.server)
        check_reach(config.server)
        runtime = Runtime(config, before)
        application = build_app(runtime)
        if before is not None and self._stamps(self._watched) != self._seen:
            raise ConfigError("a file changed while it was read")  # so it is read again
        return Generation(runtime, application)

    async def _retire(self, generation: Generation) -> None:
        """Let its requests finish, however long they take, then end it."""
        while generation.requests:
            generation.idle.clear()
            await generation.idle.wait()
        await asyncio.shield(self._end(generation))  # what has begun to end is ended whole

    async def _end(self, generation: Generation) -> None:
        """Stop what no other generation uses."""
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

    async def _live(
        self, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        await receive()
        try:
            await self.runtime.start()
            await self.runtime.plugins.configured(None, self.runtime.config)
        except Exception as error:
            logger.exception("the server cannot start")
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return

        self._tasks.start(self._watch(), "watch-configuration")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._tasks.close()
        for generation in list(self._alive):
            await self._end(generation)
        await send({"type": "lifespan.shutdown.complete"})

    # --- watching

    async def _watch(self) -> None:
        """Reload whenever a file that matters has changed."""
        while True:
            await asyncio.sleep(self._poll)
            if self._stamps(self._watched) != self._seen:
                await self.reload()

    async def _settled(self) -> None:
        """Wait until nobody writes: a file that is cut short just now can be a valid one."""
        stamps = self._stamps(self._watched)
        for _ in range(_MOST_ROUNDS):
            await asyncio.sleep(self._poll / 4)
            before, stamps = stamps, self._stamps(self._watched)
            if stamps == before:
                return

    def _stamps(self, config: Config) -> dict[Path, Stamp]:
        paths = [config.source] if config.source else []
        for folder in plugin_folders(config):
            paths += folder.glob("*.py")
        return {path: stamp_of(path) for path in paths}


def _with_fixed(config: Config, fixed: ServerConfig) -> Config:
    """Keep what cannot change while the process runs, and say so."""
    for name in _FIXED:
        if getattr(config.server, name) != getattr(fixed, name):
            logger.warning("server.%s changes when the proxy is started again, not before", name)
    kept = {name: getattr(fixed, name) for name in _FIXED}
    return msgspec.structs.replace(config, server=msgspec.structs.replace(config.server, **kept))
