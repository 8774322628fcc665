"""A bounded queue that is fair between clients: each gets its turn, however much another asks."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Generic, TypeVar


_Asked = TypeVar("_Asked")
_Given = TypeVar("_Given")


class Wait(Generic[_Asked, _Given]):
    """One client's wait for what it ``asked`` for; ``given`` is set to what it got."""

    def __init__(self, client: str, asked: _Asked) -> None:
        """Begin to wait."""
        self.client = client
        self.asked = asked
        self.given: asyncio.Future[_Given] = asyncio.get_running_loop().create_future()


class FairQueue(Generic[_Asked, _Given]):
    """Waits of many clients, whose first ones come in turn."""

    def __init__(self, size: int) -> None:
        """Hold at most ``size`` waits."""
        self._size = size
        self._clients: OrderedDict[str, deque[Wait[_Asked, _Given]]] = OrderedDict()

    def __len__(self) -> int:
        """Count the waits."""
        return sum(len(waits) for waits in self._clients.values())

    def __iter__(self) -> Iterator[Wait[_Asked, _Given]]:
        """Return the waits in the order in which they are to be served."""
        lines = [list(waits) for waits in self._clients.values()]
        longest = max(map(len, lines), default=0)
        return (line[place] for place in range(longest) for line in lines if place < len(line))

    @property
    def full(self) -> bool:
        """Whether no further wait is taken."""
        return len(self) >= self._size

    def add(self, client: str, asked: _Asked) -> Wait[_Asked, _Given]:
        """Put one more wait of ``client`` at the end of its own line."""
        wait: Wait[_Asked, _Given] = Wait(client, asked)
        self._clients.setdefault(client, deque()).append(wait)
        return wait

    def give(self, wait: Wait[_Asked, _Given], given: _Given) -> None:
        """End a wait with what it waited for, and send its client to the end."""
        self.remove(wait)
        if wait.client in self._clients:
            self._clients.move_to_end(wait.client)
        wait.given.set_result(given)

    def remove(self, wait: Wait[_Asked, _Given]) -> None:
        """Take back a wait, if it is still there."""
        waits = self._clients.get(wait.client)
        if waits and wait in waits:
            waits.remove(wait)
            if not waits:
                del self._clients[wait.client]
