"""Conversations that are kept after a turn, each in its process, the one that has waited longest first."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator

import msgspec

from claude_max_proxy import Client
from claude_max_proxy.backends.claude_cli.choice import Held, Wanted, choose
from claude_max_proxy.backends.claude_cli.conversation import Conversation
from claude_max_proxy.backends.claude_cli.process import CliProcess
from claude_max_proxy.backends.claude_cli.transcript import Plan


class Kept(msgspec.Struct, eq=False):
    """A conversation that waits for a request.

    ``owner`` is whose turn was its last, as far as a request tells. ``ready`` is the end of that turn, or
    ``None`` when there is nothing to wait for; ``since`` is on the monotonic clock, in seconds. One that is
    ``worn`` takes nothing new.
    """

    conversation: Conversation
    owner: Client
    ready: asyncio.Task[bool] | None
    since: float
    worn: bool = False

    @property
    def is_settled(self) -> bool:
        """Whether its last turn is over, also for the CLI."""
        return self.ready is None or self.ready.done()

    def held(self, now: float) -> Held:
        """Return what a choice looks at."""
        talk = self.conversation
        stale = self.worn or talk.wear.is_another_day
        idle = now - self.since
        return Held(talk.root, talk.entries, talk.pending, self.owner, idle, talk.movable, stale)

    def plan(self, wanted: Wanted) -> Plan | None:
        """Say how a request goes on in it, as it is now; ``None`` if it cannot."""
        choice = choose(wanted, [self.held(time.monotonic())], math.inf)
        return None if choice is None else choice.plan


class Keeping:
    """The kept conversations, the one that has waited longest first."""

    def __init__(self) -> None:
        """Begin with none."""
        self._places: dict[int, Kept] = {}

    def __len__(self) -> int:
        """Count them."""
        return len(self._places)

    def __iter__(self) -> Iterator[Kept]:
        """Return them, the oldest first."""
        return iter(list(self._places.values()))

    def keep(self, conversation: Conversation, owner: Client, ready: asyncio.Task[bool] | None) -> Kept:
        """Keep a conversation."""
        kept = Kept(conversation, owner, ready, time.monotonic(), conversation.wear.is_out)
        self._places[id(conversation)] = kept
        return kept

    def __contains__(self, kept: Kept) -> bool:
        """Tell whether one still waits."""
        return self._places.get(id(kept.conversation)) is kept

    def put_back(self, kept: Kept) -> None:
        """Keep one again that was taken in vain."""
        self._places[id(kept.conversation)] = kept

    def take(self, wanted: Wanted, fresh: float) -> Kept | None:
        """Take the one in which a request goes on best, unless a ``fresh`` process is better for its cost."""
        now, places = time.monotonic(), list(self._places.values())
        choice = choose(wanted, (kept.held(now) for kept in places), fresh)
        return None if choice is None else self._remove(places[choice.place])

    @property
    def without_open_calls(self) -> list[Kept]:
        """Those that wait for no results of tools."""
        return [kept for kept in self if not kept.conversation.pending]

    def oldest_idle(self, seconds: float) -> Kept | None:
        """Take the one that has waited longest, if that is so long, and not for the results of tools."""
        limit = time.monotonic() - seconds
        oldest = next((kept for kept in self.without_open_calls if kept.since < limit), None)
        return oldest and self._remove(oldest)

    def take_oldest(self) -> Kept | None:
        """Take the one that has waited longest, if possible none that waits for the results of tools."""
        oldest = next(iter([*self.without_open_calls, *self._places.values()]), None)
        return oldest and self._remove(oldest)

    def take_process(self, process: object) -> Kept | None:
        """Take the conversation that lives in ``process``."""
        for kept in self._places.values():
            if kept.conversation.process is process:
                return self._remove(kept)

        return None

    def idle(self, seconds: float) -> list[CliProcess]:
        """Return the processes that have had nothing to do for so long."""
        limit = time.monotonic() - seconds
        return [kept.conversation.process for kept in self if kept.since < limit and kept.is_settled]

    def take_older_than(self, age: float) -> list[Kept]:
        """Take all that have waited longer than ``age`` seconds."""
        limit = time.monotonic() - age
        return [self._remove(kept) for kept in self if kept.since < limit]

    def _remove(self, kept: Kept) -> Kept:
        return self._places.pop(id(kept.conversation))
