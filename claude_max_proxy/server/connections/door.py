"""Accepts connections from clients, as long as there are descriptors for them.

We do not use the event loops' own servers: when no descriptor is left, they stop accepting forever or spin.
And they do not report a client until it has finished its TLS handshake.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from collections.abc import Callable

from claude_max_proxy.concurrency.tasks import Tasks
from claude_max_proxy.dialect import Dialect
from claude_max_proxy.errors import Busy
from claude_max_proxy.server.connections.descriptors import Descriptors


logger = logging.getLogger(__name__)

_SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PAUSE = 0.2
_THRESHOLD = 1.0
_READ = 65_536
_LINGER = 0.5
_MOST_WAITING = 1024
_SHARE = 4  # one in this many descriptors of the reserve may be used to tell clients that they are refused


class Door:
    """Accepts clients on a bound socket. It has the methods that uvicorn expects of a server."""

    def __init__(
        self,
        listener: socket.socket,
        descriptors: Descriptors,
        protocol: Callable[[], asyncio.Protocol],
        *,
        tls: ssl.SSLContext | None = None,
        handshake_timeout: Callable[[], float],
        refusal: Callable[[], bytes],
    ) -> None:
        """Prepare to serve clients with ``protocol``.

        A client for which there is no descriptor is sent ``refusal``, except over TLS. ``handshake_timeout``
        returns how many seconds a TLS handshake may take.
        """
        self._listener = listener
        self._descriptors = descriptors
        self._protocol = protocol
        self._tls = tls
        self._handshake_timeout = handshake_timeout
        self._refusal = refusal
        self._tasks = Tasks()
        self._refusing = 0
        self._accepting: asyncio.Task[None] | None = None

    def open(self, backlog: int) -> None:
        """Begin to accept clients; ``backlog`` is how many may wait for that in the system."""
        self._listener.setblocking(False)
        self._listener.listen(backlog)
        self._accepting = self._tasks.start(self._accept(), "accept")

    def close(self) -> None:
        """Accept no more clients; those that are connected stay."""
        if self._accepting is not None:
            self._accepting.cancel()

    async def wait_closed(self) -> None:
        """Wait until all accepted clients are connected; those that are in a TLS handshake are dropped.

        From then on the system refuses new clients at once, so that a load balancer sends them elsewhere.
        """
        if self._accepting is not None:
            await asyncio.wait({self._accepting}, timeout=_THRESHOLD)
            self._accept_waiting()
        self._listener.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0 if self._tls else _THRESHOLD):
                while len(self._tasks):  # noqa: ASYNC110  # a connection that is half made must not be cut
                    await asyncio.sleep(0.001)
        await self._tasks.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = await loop.sock_accept(self._listener)
            except OSError as error:  # either this client has left already, or the system has a problem
                await self._wait(error)
                continue

            self._admit(client)
            await asyncio.sleep(0)  # even if many clients come at once, other tasks must get their turn

    def _accept_waiting(self) -> None:
        """Accept those whom the system has connected already: closing the socket would cut them off."""
        for _ in range(_MOST_WAITING):
            try:
                client, _address = self._listener.accept()
            except OSError:  # nobody waits
                return
            client.setblocking(False)
            self._admit(client)

    def _admit(self, client: socket.socket) -> None:
        if self._descriptors.admit(client.fileno()):
            self._tasks.start(self._serve(client), "connect")
        elif self._tls is None and self._refusing < self._descriptors.reserve // _SHARE:
            self._tasks.start(self._refuse(client), "refuse")
        else:
            client.close()

    async def _wait(self, error: OSError) -> None:
        if error.errno in _SHORT:
            self._descriptors.short(refused=not self._descriptors.idle.close_one())
        else:
            logger.debug("a connection could not be accepted: %s", error)
        await asyncio.sleep(_PAUSE if error.errno in _SHORT else 0)

    async def _serve(self, client: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        timeout = None if self._tls is None else self._handshake_timeout()
        try:
            await loop.connect_accepted_socket(
                self._protocol, client, ssl=self._tls, ssl_handshake_timeout=timeout
            )
        except OSError as error:  # errors of TLS are also OSErrors
            logger.debug("a client did not connect: %s", error)
            client.close()

    async def _refuse(self, client: socket.socket) -> None:
        """Send the refusal, then read for a moment: unread bytes from the client would cancel the answer."""
        loop = asyncio.get_running_loop()
        self._refusing += 1
        try:
            with client, contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(_LINGER):
                    await loop.sock_sendall(client, self._refusal())
                    client.shutdown(socket.SHUT_WR)
                    while await loop.sock_recv(client, _READ):
                        pass
        finally:
            self._refusing -= 1


def busy(dialect: Dialect, replica: str) -> bytes:
    """Return the HTTP answer for a client for which there is no descriptor, in the form of ``dialect``.

    ``replica`` is the name of this proxy, if it has one.
    """
    error = Busy("the proxy has reached its limit of connections", retry_after=5)
    body = dialect.error(error)
    lines = [
        "HTTP/1.1 429 Too Many Requests",
        "content-type: application/json",
        f"content-length: {len(body)}",
        f"retry-after: {error.retry_after}",
        *([f"x-proxy-replica: {replica}"] if replica else []),
        "connection: close",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body
