"""A bounded queue that is fair: each client gets a place and a turn, however much another one asks."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Generic, TypeVar


# How many further clients get a place in a full queue. A client is an API key, or an address without keys.
_FURTHER_CLIENTS = 64
_Asked = TypeVar("_Asked")
_Given = TypeVar("_Given")


class GaveWay(Exception):
    """A wait was ended in favour of a client that has fewer waits."""


class Wait(Generic[_Asked, _Given]):
    """One client's wait for what it ``asked`` for; ``given`` is set to what it got."""

    def __init__(self, client: str, asked: _Asked) -> None:
        """Begin to wait."""
        self.client = client
        self.asked = asked
        self.given: asyncio.Future[_Given] = asyncio.get_running_loop().create_future()


class FairQueue(Generic[_Asked, _Given]):
    """The waits of many clients; the clients take turns, each with its own waits in their order."""

    def __init__(self, size: int) -> None:
        """Hold at most ``size`` waits."""
        self._size = size
        self._clients: OrderedDict[str, deque[Wait[_Asked, _Given]]] = OrderedDict()

    def __len__(self) -> int:
        """Count the waits."""
        return sum(len(waits) for waits in self._clients.values())

    def __iter__(self) -> Iterator[Wait[_Asked, _Given]]:
        """Iterate over the waits in the order in which they are to be served."""
        lines = [list(waits) for waits in self._clients.values()]
        longest = max(map(len, lines), default=0)
        return (line[place] for place in range(longest) for line in lines if place < len(line))

    def add(self, client: str, asked: _Asked) -> Wait[_Asked, _Given] | None:
        """Add a wait after the other waits of ``client`` and return it, or ``None`` if there is no place.

        If the queue is full, a client without a wait still gets one place, up to a limit. A client that has
        waits already only gets a place from another client that has more: the other's newest wait then ends
        with :class:`GaveWay`.
        """
        if len(self) >= self._size and not self._make_room(client):
            return None

        wait: Wait[_Asked, _Given] = Wait(client, asked)
        self._clients.setdefault(client, deque()).append(wait)
        return wait

    def _make_room(self, client: str) -> bool:
        """Return whether there is a place for another wait of ``client``, in a full queue.

        If need be, the newest wait of the client with most waits ends, provided that this client keeps at
        least as many as ``client`` will have.
        """
        if not self._size:
            return False

        own = len(self._clients.get(client, ()))
        greediest = max(self._clients.values(), key=len)
        if len(greediest) > own + 1:
            wait = greediest[-1]
            self.remove(wait)
            wait.given.set_exception(GaveWay())
            return True
        return not own and len(self) < self._size + _FURTHER_CLIENTS

    def give(self, wait: Wait[_Asked, _Given], given: _Given) -> None:
        """End a wait with what it waited for, and put its client at the end of the order."""
        self.remove(wait)
        if wait.client in self._clients:
            self._clients.move_to_end(wait.client)
        wait.given.set_result(given)

    def remove(self, wait: Wait[_Asked, _Given]) -> None:
        """Remove a wait, if it is still in the queue."""
        waits = self._clients.get(wait.client)
        if waits and wait in waits:
            waits.remove(wait)
            if not waits:
                del self._clients[wait.client]
