"""``claude-max-proxy serve``: binds a socket, announces the server, serves, and lets answers finish."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import click
import msgspec
import uvicorn

from claude_max_proxy import ConfigError
from claude_max_proxy.cli.announcing import announce, announce_backends
from claude_max_proxy.cli.event_loop import run_to_its_end
from claude_max_proxy.cli.lasting import Lasting
from claude_max_proxy.cli.leaving import Leaving
from claude_max_proxy.cli.log import setup as log
from claude_max_proxy.cli.self_reference import check_no_loop
from claude_max_proxy.cli.sockets import BACKLOG, SocketFile, bind, tls_options
from claude_max_proxy.cli.streams import make_forgiving
from claude_max_proxy.concurrency.tasks import Tasks
from claude_max_proxy.config import Config, load
from claude_max_proxy.errors import Stopping
from claude_max_proxy.formats.quoting import shown
from claude_max_proxy.runtime.runtime import find_config
from claude_max_proxy.server.connections.connection import Connection
from claude_max_proxy.server.connections.descriptors import Descriptors, raise_limit
from claude_max_proxy.server.connections.door import Door, busy
from claude_max_proxy.server.examining import everything
from claude_max_proxy.server.reloading.generations import Generations


logger = logging.getLogger(__name__)

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LONGEST_DRAIN = 86_400.0
_TICK = 0.5
# How many seconds it may take to notice a signal, to end everything after the last answer, and to exit then.
_HEARING_SECONDS, _ENDING_SECONDS, _LAST_SECONDS = 10.0, 60.0, 5.0
# The seconds in which answers that are ended may send their error, and then those in which they are
# cancelled.
_LAST_WORDS = 1.0
# For how many seconds a stream that is told to end may take to do so, before it is counted as an answer.
_STREAMS_END = 0.1


def run(config_file: str | None, **given: Any) -> None:
    """Serve until a signal ends the server; ``given`` overrides settings in ``[server]`` by their names.

    A setting that is ``None`` is not overridden.
    """
    make_forgiving()
    overridden = {name: value for name, value in given.items() if value is not None}
    read = partial(_load, find_config(config_file), overridden)
    try:
        log.set_up(
            read().server, file_setting="--log-file" if "log_file" in overridden else "server.log_file"
        )
        generations = Generations(read, in_force=lambda config: log.set_level(config.server))
        config = generations.runtime.config.server
        tls = tls_options(config)
    except ConfigError as error:
        raise everything(error, read, tls_options) from error
    with bind(config) as listener, contextlib.ExitStack() as stack:
        if config.unix_socket:
            stack.callback(SocketFile(Path(config.unix_socket)).remove)
        check_no_loop(listener, os.environ)
        server = Server(generations, listener, tls, Leaving(stack.close))
        server.run([listener])
    if not server.started:
        raise ConfigError("the server did not start; the log says why")


class Server(uvicorn.Server):
    """uvicorn, extended to announce itself when it listens, and to end without raising a signal."""

    def __init__(
        self, generations: Generations, listener: socket.socket, tls: dict[str, Any], leaving: Leaving
    ) -> None:
        """Prepare to serve ``generations`` on ``listener``; ``leaving`` makes sure that the process ends."""
        self._generations = generations
        self._leaving = leaving
        replica = self._replica = generations.runtime.config.server.replica
        self._handler = self.handle_exit  # always the same object, so that we can recognise it
        self._listener = listener
        self._tasks = Tasks()
        self._descriptors = Descriptors(raise_limit())
        self._told_to_stop = asyncio.Event()
        self._lasting = Lasting()
        super().__init__(
            uvicorn.Config(
                generations,
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # we handle these headers ourselves, by [server] trusted_proxies
                headers=[
                    ("x-content-type-options", "nosniff"),
                    *([("x-proxy-replica", replica)] if replica else []),
                ],
                **tls,
            )
        )

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal, and nothing else, ends the server."""

        def leave() -> None:
            self._leaving.within(_LAST_SECONDS, 0 if self.started else 1)

        run_to_its_end(self.serve(sockets), self.config.get_loop_factory(), leave)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # as uvicorn has it
        """Stop the server.

        It stops at once on a second signal, or if the event loop does not reach :meth:`shutdown`.
        """
        if self.should_exit:
            self._leaving.now(sig)
        self._leaving.within(_HEARING_SECONDS, 1)
        self.should_exit = True
        with contextlib.suppress(RuntimeError):  # if no loop runs, nothing waits for this event
            asyncio.get_running_loop().call_soon_threadsafe(self._told_to_stop.set)

    async def main_loop(self) -> None:
        """Update the clock and check the signals now and then, and return as soon as a signal comes.

        uvicorn's own loop does so ten times a second, which would be most of what an idle proxy does.
        """
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK):
                    await self._told_to_stop.wait()

    async def on_tick(self, counter: int) -> bool:
        """Set the signal handlers again if other code has replaced them: a plugin must not prevent an end.

        Also take what has been loaded out of Python's garbage collection.
        """
        self._lasting.freeze(self._generations.retired)
        for number in _SIGNALS:
            if (other := signal.getsignal(number)) is not self._handler:
                # This comes before the log line, since who reads the line may send a signal.
                signal.signal(number, self._handler)
                logger.error(
                    "something took %s from the proxy, which took it back: %s", number.name, shown(other)
                )
        return await super().on_tick(counter)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002  # as uvicorn has it
        """Start the server, and print where it listens."""
        self._leaving.listen_to(asyncio.get_running_loop())
        # uvicorn itself would set these a second later.
        self.server_state.default_headers = list(self.config.encoded_headers)
        await super().startup([])
        if not self.started:
            return

        self.lifespan.state["descriptors"] = self._descriptors
        self._door = Door(
            self._listener,
            self._descriptors,
            self._connection,
            tls=self.config.ssl,
            handshake_timeout=lambda: self._generations.runtime.config.server.header_timeout,
            refusal=lambda: busy(next(iter(self._generations.runtime.dialects.values())), self._replica),
        )
        self.servers = [self._door]  # type: ignore[list-item]  # it has the methods that are used here
        self._door.open(BACKLOG)
        announce(self._generations.runtime, self._listener)
        self._tasks.start(announce_backends(self._generations.runtime), "announce")

    def _connection(self) -> Connection:
        return Connection(
            self.config,
            self.server_state,
            self.lifespan.state,
            settings=lambda: self._generations.runtime.config.server,
            idle=self._descriptors.idle,
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let running answers finish within ``[server] drain_timeout``, then end everything."""
        await self._tasks.close()
        await self._give_notice()
        self._door.close()
        await self._door.wait_closed()
        drain = min(self._generations.runtime.config.server.drain_timeout, _LONGEST_DRAIN)
        self._leaving.within(drain + _ENDING_SECONDS, 1)
        self._generations.end_streams()
        await self._over(_STREAMS_END)
        answers = len(self.server_state.tasks)
        waiting = f": waiting up to {drain:g} s for {_count(answers, 'answer')}; again to stop now"
        click.echo(f"stopping{waiting if answers else ''}", err=True)
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await self._over(drain)
        await self._break_off()
        self.config.timeout_graceful_shutdown = 1
        await super().shutdown(sockets)

    async def _give_notice(self) -> None:
        """Go on for a while, so that a load balancer notices that requests should go elsewhere."""
        self._generations.stop_soon()
        seconds = self._generations.runtime.config.server.drain_notice
        if seconds:
            click.echo(f"stopping in {seconds:g} s: /health/ready says so; again to stop now", err=True)
            self._leaving.within(seconds + _HEARING_SECONDS, 1)
            await asyncio.sleep(seconds)

    async def _over(self, seconds: float) -> bool:
        """Wait at most this many seconds until no answer is under way; return whether that is so."""
        state = self.server_state
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while state.tasks or state.connections:  # noqa: ASYNC110  # uvicorn has no event for this
                    await asyncio.sleep(0.02)
        return not (state.tasks or state.connections)

    async def _break_off(self) -> None:
        """End the remaining answers, each with an error in the form of its API, and the connections."""
        state = self.server_state
        if state.tasks:
            logger.warning(
                "%s did not end in time and will be broken off", _count(len(state.tasks), "answer")
            )
        error = Stopping("the proxy was told to stop, and the answer was not complete in time", retry_after=5)
        for connection in list(state.connections):
            if isinstance(connection, Connection):
                connection.break_off(error)
        if not await self._over(_LAST_WORDS):
            for task in state.tasks:
                task.cancel()
            await self._over(_LAST_WORDS)
        for connection in list(state.connections):
            connection.transport.abort()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGINT and SIGTERM, and then exit with status 0, unlike uvicorn's own handlers.

        SIGHUP, on systems that have it, reloads the configuration.
        """
        before = {number: signal.signal(number, self._handler) for number in _SIGNALS}
        hangup = getattr(signal, "SIGHUP", None)
        if hangup is not None:
            asyncio.get_running_loop().add_signal_handler(hangup, self._generations.reload_soon)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            if hangup is not None:
                asyncio.get_running_loop().remove_signal_handler(hangup)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _load(path: Path | None, overridden: dict[str, Any]) -> Config:
    """Read the configuration; the options on the command line override the file."""
    config = load(path)
    return msgspec.structs.replace(config, server=msgspec.structs.replace(config.server, **overridden))
