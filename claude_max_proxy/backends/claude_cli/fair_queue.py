"""A bounded queue that is fair between clients: each gets its turn, however much another asks."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque


class FairQueue:
    """Waits of many clients; :meth:`next` gives the first wait of the client whose turn it is."""

    def __init__(self, size: int) -> None:
        """Hold at most ``size`` waits."""
        self._size = size
        self._clients: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    def __len__(self) -> int:
        """Count the waits."""
        return sum(len(waits) for waits in self._clients.values())

    @property
    def full(self) -> bool:
        """Whether no further wait is taken."""
        return len(self) >= self._size

    def add(self, client: str) -> asyncio.Future[None]:
        """Put one more wait of ``client`` at the end of its own line."""
        wait: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._clients.setdefault(client, deque()).append(wait)
        return wait

    def remove(self, client: str, wait: asyncio.Future[None]) -> None:
        """Take back a wait that nobody waits for any more."""
        waits = self._clients.get(client)
        if waits and wait in waits:
            waits.remove(wait)
            if not waits:
                del self._clients[client]

    def next(self) -> asyncio.Future[None] | None:
        """Take the next wait out, and send its client to the end."""
        while self._clients:
            client, waits = next(iter(self._clients.items()))
            wait = waits.popleft()
            if waits:
                self._clients.move_to_end(client)
            else:
                del self._clients[client]
            if not wait.done():
                return wait

        return None
