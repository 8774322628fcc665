"""Serves an ASGI application on a loopback socket, in the running event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState


Application = Callable[..., Awaitable[None]]

HOST = "127.0.0.1"
KEEP_ALIVE = 600
"""How many seconds an idle connection is kept: longer than any test takes, so that no client uses a
connection again that is just being closed."""
STOP_TIMEOUT = 2.0


class Listener:
    """Serves on loopback from `start` to `stop`.

    It uses uvicorn's HTTP protocol but not uvicorn's server. So there are no signal handlers and no lifespan,
    and `stop` need not wait for the next tick of 100 ms.
    """

    def __init__(self, application: Application, port: int = 0) -> None:
        """Prepare to serve this application on this port of 127.0.0.1; 0 means a free port."""
        self._config = Config(
            application,
            http=_Protocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            access_log=False,
            log_config=None,
            log_level="error",
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE,
        )
        self._state = ServerState()
        self._port = port
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Begin to serve, and return the port. Raises OSError if the port is already used."""
        self._config.load()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol, HOST, self._port, backlog=1024)
        self._port = int(self._server.sockets[0].getsockname()[1])
        return self._port

    async def stop(self) -> None:
        """Close the socket and all connections, even if something is still being sent."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._state.connections):
            if isinstance(connection, _Protocol):
                connection.transport.abort()
        if tasks := list(self._state.tasks):
            _, late = await asyncio.wait(tasks, timeout=STOP_TIMEOUT)
            for task in late:
                task.cancel()
        self._server = None

    def _protocol(self) -> asyncio.Protocol:
        return _Protocol(self._config, self._state, {})


class _Protocol(H11Protocol):
    """uvicorn's protocol, which adds the transport to each scope: ASGI has no message for hanging up."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state: dict[str, Any] = {"transport": transport}
