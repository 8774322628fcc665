"""``claude-max-proxy serve``: bind, announce, serve, drain."""

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
from typing import Any

import click
import msgspec
import uvicorn

from claude_max_proxy import ConfigError, __version__
from claude_max_proxy.cli.listening import bind, tls_options, url_of
from claude_max_proxy.cli.looping import check_no_loop
from claude_max_proxy.config import Config, load
from claude_max_proxy.runtime import Runtime, find_config
from claude_max_proxy.server.connection import Connection
from claude_max_proxy.server.live import Live
from claude_max_proxy.tasks import Tasks


_BACKLOG = 1024
_ANNOUNCE_TIMEOUT = 30.0
_LONGEST_DRAIN = 86_400.0


def run(config_file: str | None, host: str | None, port: int | None, *, verbose: bool = False) -> None:
    """Serve until a signal says otherwise."""
    _set_up_logging(verbose=verbose)
    live = Live(partial(_load, find_config(config_file), host, port))
    config = live.runtime.config.server
    tls = tls_options(config)
    with bind(config) as listener:
        check_no_loop(listener, os.environ)
        server = Server(live, listener, tls)
        try:
            server.run([listener])
        finally:
            if config.unix_socket:
                Path(config.unix_socket).expanduser().unlink(missing_ok=True)
    if not server.started:
        raise ConfigError("the server did not start; the log says why")


class Server(uvicorn.Server):
    """uvicorn, which announces itself once it listens and ends without a signal of its own."""

    def __init__(self, live: Live, listener: socket.socket, tls: dict[str, Any]) -> None:
        """Prepare to serve ``live`` on ``listener``."""
        self._live = live
        self._listener = listener
        self._tasks = Tasks()
        super().__init__(
            uvicorn.Config(
                live,
                http=Connection,
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                backlog=_BACKLOG,
                **tls,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets)
        if self.started:
            announce(self._live.runtime, self._listener)
            self._tasks.start(announce_backends(self._live.runtime), "announce")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let running answers finish, within ``[server] drain_timeout``; then end everything."""
        await self._tasks.close()
        drain = self._live.runtime.config.server.drain_timeout
        self.config.timeout_graceful_shutdown = max(1, int(min(drain, _LONGEST_DRAIN)))
        click.echo("stopping: running answers may finish; again to stop at once", err=True)
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGINT and SIGTERM, and exit with status 0 after it, which uvicorn's own way does not.

        SIGHUP, where there is one, reloads the configuration.
        """
        handled = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in handled}
        hangup = getattr(signal, "SIGHUP", None)
        if hangup is not None:
            asyncio.get_running_loop().add_signal_handler(hangup, self._live.reload_soon)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            if hangup is not None:
                asyncio.get_running_loop().remove_signal_handler(hangup)


def announce(runtime: Runtime, listener: socket.socket) -> None:
    """Say where the server listens, what it offers, and how to try it."""
    config = runtime.config
    url = url_of(listener, config.server)
    names = [name for name, entry in config.models.items() if not entry.hidden]
    unix = config.server.unix_socket
    body = '{"model": "claude-sonnet-4", "messages": [{"role": "user", "content": "Hello!"}]}'
    curl = f"curl {f'--unix-socket {unix} ' if unix else ''}{url}/v1/chat/completions"
    rows = {
        "address": f"{url}/v1{f' on {unix}' if unix else ''}",
        "config": str(config.source or "none: the defaults"),
        "models": ", ".join(name for name in names if "/" not in name and "*" not in name),
        "try": f"{curl} -H 'Content-Type: application/json' -d '{body}'",
    }
    click.echo(f"claude-max-proxy {__version__}")
    for name, value in rows.items():
        click.echo(f"  {name:<8}  {value}")


async def announce_backends(runtime: Runtime) -> None:
    """Say how each backend stands, as soon as it knows."""
    waiting = dict(runtime.backends)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_ANNOUNCE_TIMEOUT):
            while waiting:
                for name in [n for n, b in waiting.items() if b.health().get("status") != "starting"]:
                    click.echo(f"  {name:<8}  {_summary(waiting.pop(name).health())}")
                await asyncio.sleep(0.05)


def _summary(facts: dict[str, Any]) -> str:
    if problem := facts.get("problem"):
        words = [facts.get("command", ""), facts.get("version", ""), str(problem)]
    else:
        words = [str(facts.get(name, "")) for name in ("command", "version", "login")]
    return " · ".join(word for word in words if word) or str(facts.get("status", "ok"))


def _load(path: Path | None, host: str | None, port: int | None) -> Config:
    """Read the configuration; what the command line says goes before what the file says."""
    config = load(path)
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    return msgspec.structs.replace(config, server=msgspec.structs.replace(config.server, **given))


def _set_up_logging(*, verbose: bool) -> None:
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)-7s %(message)s",
        datefmt="%H:%M:%S",
    )
    for name in ("uvicorn", "uvicorn.error", "httpx", "httpcore", "aiohttp", "asyncio"):
        logging.getLogger(name).setLevel(logging.INFO if verbose else logging.WARNING)
