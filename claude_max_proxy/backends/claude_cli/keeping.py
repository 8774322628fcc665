"""The conversations that are kept after a turn, each in its process, in the order of their waits."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Collection, Iterator

import msgspec

from claude_max_proxy import Client
from claude_max_proxy.backends.claude_cli.choice import Held, Wanted, choose
from claude_max_proxy.backends.claude_cli.conversation import Conversation
from claude_max_proxy.backends.claude_cli.process import CliProcess
from claude_max_proxy.backends.claude_cli.traces import Trace
from claude_max_proxy.backends.claude_cli.transcript import Plan


class Kept(msgspec.Struct, eq=False):
    """A conversation that waits for a request.

    - ``owner``: the client whose turn was the last one.
    - ``ready``: a task that ends when that turn is over, or ``None`` when there is nothing to wait for.
    - ``since``: when it began to wait, on the monotonic clock, in seconds.
    - ``worn``: the process has been used so much that no other conversation may begin in it.
    """

    conversation: Conversation
    owner: Client
    ready: asyncio.Task[bool] | None
    since: float
    worn: bool = False

    @property
    def is_settled(self) -> bool:
        """Whether the last turn is over, also for the CLI."""
        return self.ready is None or self.ready.done()

    def held(self, now: float) -> Held:
        """Return what :func:`choose` compares; ``now`` is on the monotonic clock, in seconds."""
        talk = self.conversation
        stale = self.worn or talk.wear.is_another_day
        idle = now - self.since
        return Held(talk.root, talk.entries, talk.pending, self.owner, idle, talk.movable, stale)

    @property
    def trace(self) -> Trace:
        """What is remembered of the conversation."""
        talk = self.conversation
        marks = tuple(entry.mark for entry in talk.entries if entry.lasting)
        return Trace(self.owner, talk.bound, marks, open_calls=bool(talk.pending), worn=self.worn)

    def plan(self, wanted: Wanted) -> Plan | None:
        """Return how a request can go on in this conversation as it is now, or ``None`` if it cannot."""
        choice = choose(wanted, [self.held(time.monotonic())], math.inf)
        return None if choice is None else choice.plan


class Keeping:
    """The collection of kept conversations; the one that has waited longest is first."""

    def __init__(self) -> None:
        """Begin with none."""
        self._places: dict[int, Kept] = {}

    def __len__(self) -> int:
        """Return how many conversations are kept."""
        return len(self._places)

    def __iter__(self) -> Iterator[Kept]:
        """Iterate over the conversations, the one that has waited longest first."""
        return iter(list(self._places.values()))

    def keep(self, conversation: Conversation, owner: Client, ready: asyncio.Task[bool] | None) -> Kept:
        """Add a conversation, and return it with what is known about its wait."""
        kept = Kept(conversation, owner, ready, time.monotonic(), conversation.wear.is_out)
        self._places[id(conversation)] = kept
        return kept

    def __contains__(self, kept: Kept) -> bool:
        """Return whether a conversation is still kept."""
        return self._places.get(id(kept.conversation)) is kept

    def put_back(self, kept: Kept) -> None:
        """Add a conversation again that was taken but not used."""
        self._places[id(kept.conversation)] = kept

    def take(self, wanted: Wanted, fresh: float) -> Kept | None:
        """Remove and return the best conversation for a request.

        Returns ``None`` if a fresh process, which costs ``fresh``, is better.
        """
        now, places = time.monotonic(), list(self._places.values())
        choice = choose(wanted, (kept.held(now) for kept in places), fresh)
        return None if choice is None else self._remove(places[choice.place])

    @property
    def without_open_calls(self) -> list[Kept]:
        """The conversations that do not wait for the results of tools."""
        return [kept for kept in self if not kept.conversation.pending]

    def oldest_idle(self, seconds: float) -> Kept | None:
        """Remove and return the conversation that has waited longest, if it has waited for ``seconds``.

        Conversations that wait for the results of tools do not count.
        """
        limit = time.monotonic() - seconds
        oldest = next((kept for kept in self.without_open_calls if kept.since < limit), None)
        return oldest and self._remove(oldest)

    def take_oldest(self) -> Kept | None:
        """Remove and return the conversation that has waited longest.

        One that waits for the results of tools is only taken if there is no other.
        """
        oldest = next(iter([*self.without_open_calls, *self._places.values()]), None)
        return oldest and self._remove(oldest)

    def take_process(self, process: object) -> Kept | None:
        """Remove and return the conversation that lives in ``process``, if there is one."""
        for kept in self._places.values():
            if kept.conversation.process is process:
                return self._remove(kept)

        return None

    def take_others(self, owners: Collection[str]) -> list[Kept]:
        """Remove and return all conversations whose owner is not one of ``owners``."""
        return [self._remove(kept) for kept in self if kept.owner.owner not in owners]

    def idle(self, seconds: float) -> list[CliProcess]:
        """Return the processes that have had nothing to do for longer than ``seconds``."""
        limit = time.monotonic() - seconds
        return [kept.conversation.process for kept in self if kept.since < limit and kept.is_settled]

    def take_older_than(self, age: float) -> list[Kept]:
        """Remove and return all conversations that have waited longer than ``age`` seconds."""
        limit = time.monotonic() - age
        return [self._remove(kept) for kept in self if kept.since < limit]

    def _remove(self, kept: Kept) -> Kept:
        return self._places.pop(id(kept.conversation))
