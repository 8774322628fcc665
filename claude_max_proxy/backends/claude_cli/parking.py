"""Parked conversations: found by their fingerprint, forgotten oldest first."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterator

import msgspec

from claude_max_proxy import Client
from claude_max_proxy.backends.claude_cli.conversation import Conversation


class Parked(msgspec.Struct, eq=False):
    """A conversation that waits to be continued.

    ``owner`` is whose turn was its last, as far as a request tells. ``ready`` is the end of that turn,
    ``None`` when it waits for tool results; ``since`` is on the monotonic clock, in seconds.
    """

    conversation: Conversation
    fingerprint: bytes
    owner: Client
    ready: asyncio.Task[bool] | None
    since: float


class Parking:
    """The parked conversations, the one parked longest ago first."""

    def __init__(self) -> None:
        """Begin with none."""
        self._places: OrderedDict[int, Parked] = OrderedDict()
        self._by_fingerprint: dict[bytes, list[Parked]] = {}

    def __len__(self) -> int:
        """Count them."""
        return len(self._places)

    def __iter__(self) -> Iterator[Parked]:
        """Return them, the oldest first."""
        return iter(list(self._places.values()))

    def park(
        self,
        conversation: Conversation,
        fingerprint: bytes,
        owner: Client,
        ready: asyncio.Task[bool] | None,
    ) -> Parked:
        """Keep a conversation under what it now is."""
        parked = Parked(conversation, fingerprint, owner, ready, time.monotonic())
        self._places[id(conversation)] = parked
        self._by_fingerprint.setdefault(fingerprint, []).append(parked)
        return parked

    def take(self, fingerprint: bytes, client: Client) -> Parked | None:
        """Take a conversation that is exactly this, if there is one: the client's own before the newest.

        Equal conversations may differ in what the model thought, which clients do not hand back. So each
        goes on with its own thoughts where the session tells; that it is another's changes nothing else.
        """
        alike = self._by_fingerprint.get(fingerprint)
        if not alike:
            return None

        return self._remove(max(reversed(alike), key=lambda parked: _nearness(parked.owner, client)))

    def take_oldest(self) -> Parked | None:
        """Take the one parked longest ago."""
        return self._remove(next(iter(self._places.values()))) if self._places else None

    def take_process(self, process: object) -> Parked | None:
        """Take the conversation that lives in ``process``."""
        for parked in self._places.values():
            if parked.conversation.process is process:
                return self._remove(parked)

        return None

    def take_older_than(self, age: float) -> list[Parked]:
        """Take all that were parked longer than ``age`` seconds ago."""
        limit = time.monotonic() - age
        return [self._remove(parked) for parked in self if parked.since < limit]

    def _remove(self, parked: Parked) -> Parked:
        del self._places[id(parked.conversation)]
        alike = self._by_fingerprint[parked.fingerprint]
        alike.remove(parked)
        if not alike:
            del self._by_fingerprint[parked.fingerprint]
        return parked


def _nearness(owner: Client, client: Client) -> tuple[bool, bool]:
    return owner.key == client.key, owner.session == client.session
