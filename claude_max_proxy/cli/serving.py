"""``claude-max-proxy serve``: bind, announce, serve, drain."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Iterator
from typing import Any

import click
import msgspec
import uvicorn

from claude_max_proxy import ConfigError, __version__
from claude_max_proxy.config import Config, load
from claude_max_proxy.runtime import Runtime, find_config
from claude_max_proxy.server.app import build_app
from claude_max_proxy.server.guards import check_reach
from claude_max_proxy.tasks import Tasks


_BACKLOG = 1024
_ANNOUNCE_TIMEOUT = 30.0


def run(config_file: str | None, host: str | None, port: int | None, *, verbose: bool = False) -> None:
    """Serve until a signal says otherwise."""
    config = _with_overrides(load(find_config(config_file)), host, port)
    check_reach(config.server)
    _set_up_logging(verbose=verbose)
    runtime = Runtime(config)
    listener = _bind(config.server.host, config.server.port)
    server = Server(runtime, listener)
    with listener:
        server.run([listener])
    if not server.started:
        raise ConfigError("the server did not start; the log says why")


class Server(uvicorn.Server):
    """uvicorn, which announces itself once it listens and ends without a signal of its own."""

    def __init__(self, runtime: Runtime, listener: socket.socket) -> None:
        """Prepare to serve ``runtime`` on ``listener``."""
        self._runtime = runtime
        self._listener = listener
        self._tasks = Tasks()
        super().__init__(
            uvicorn.Config(
                build_app(runtime),
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=int(runtime.config.server.drain_timeout) or 1,
                backlog=_BACKLOG,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets)
        if self.started:
            announce(self._runtime, self._listener)
            self._tasks.start(announce_backends(self._runtime), "announce")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let running answers finish, within ``[server] drain_timeout``; then end everything."""
        await self._tasks.close()
        click.echo("stopping: running answers may finish; again to stop at once", err=True)
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGINT and SIGTERM, and exit with status 0 after it, which uvicorn's own way does not."""
        handled = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in handled}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def announce(runtime: Runtime, listener: socket.socket) -> None:
    """Say where the server listens, what it offers, and how to try it."""
    host, port = listener.getsockname()[:2]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    config = runtime.config
    names = [name for name in config.models if "/" not in name and "*" not in name]
    body = '{"model": "claude-sonnet-4", "messages": [{"role": "user", "content": "Hello!"}]}'
    rows = {
        "address": f"{url}/v1",
        "config": str(config.source or "none: the defaults"),
        "models": ", ".join(names),
        "try": f"curl {url}/v1/chat/completions -H 'Content-Type: application/json' -d '{body}'",
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


def _with_overrides(config: Config, host: str | None, port: int | None) -> Config:
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    return msgspec.structs.replace(config, server=msgspec.structs.replace(config.server, **given))


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; "
            "is another proxy running? choose another with --port"
        ) from error
    listener.set_inheritable(False)
    return listener


def _set_up_logging(*, verbose: bool) -> None:
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)-7s %(message)s",
        datefmt="%H:%M:%S",
    )
    for name in ("uvicorn", "uvicorn.error", "httpx", "httpcore", "asyncio"):
        logging.getLogger(name).setLevel(logging.INFO if verbose else logging.WARNING)
