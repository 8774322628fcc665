"""The processes of one backend: their number is bounded, and requests beyond it wait in a fair queue.

A process is *warm* (started, but nobody has spoken to it), *busy* (answering), *parked* (holding a
conversation in which nobody asks anything now) or *ending*. All four count until the process is gone. A
request goes to the process in which it can go on with the least work. If a request needs the place of another
process, a parked or warm one is ended: the one parked for longest first, then a warm one of another kind.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import Any

from claude_max_proxy import Client, ProcessFacts, Tasks
from claude_max_proxy.backends.claude_cli import census, choice
from claude_max_proxy.backends.claude_cli.choice import Wanted
from claude_max_proxy.backends.claude_cli.conversation import Conversation
from claude_max_proxy.backends.claude_cli.fair_queue import FairQueue, GaveWay, Wait
from claude_max_proxy.backends.claude_cli.housekeeping import Housekeeping
from claude_max_proxy.backends.claude_cli.keeping import Keeping, Kept
from claude_max_proxy.backends.claude_cli.places import Places
from claude_max_proxy.backends.claude_cli.process import CliProcess
from claude_max_proxy.backends.claude_cli.process_kind import ProcessKind
from claude_max_proxy.backends.claude_cli.rehearsal import Rehearsal
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings
from claude_max_proxy.backends.claude_cli.traces import Traces
from claude_max_proxy.backends.claude_cli.transcript import Plan
from claude_max_proxy.backends.claude_cli.used_models import UsedModels
from claude_max_proxy.backends.claude_cli.warm import Warm
from claude_max_proxy.backends.claude_cli.warming import Warming
from claude_max_proxy.errors import BackendUnavailable, Busy


logger = logging.getLogger(__name__)

# What a request gets: a conversation, a process that nobody has spoken to, or (None) room for a new process.
Given = Kept | CliProcess | None
Launch = Callable[[ProcessKind, Callable[[CliProcess], None]], Awaitable[CliProcess]]
_RETRY_AFTER = 10
_MANY, _LEFT_ALONE, _GONE_WITHIN = 4, 10.0, 5.0


class Pool:
    """Owns every process of a backend, from its start to its exit."""

    def __init__(
        self,
        settings: ClaudeCliSettings,
        launch: Launch,
        rehearsal: Callable[[ProcessKind], Rehearsal],
        memory: UsedModels,
    ) -> None:
        """Use ``launch(kind, on_exit)`` to start processes, and ``rehearsal(kind)`` to prepare warm ones."""
        self.crashes = 0
        self.settings = settings
        self.reserved = 0
        self.processes: set[CliProcess] = set()
        self.ending: set[CliProcess] = set()
        self.places = Places()
        self._launch = launch
        self._tasks = Tasks()
        self._keeping = Keeping()
        self.traces = Traces()
        self._warm = Warm()
        self._warming = Warming(settings, self._warm, memory, rehearsal, self.spare, self.serve)
        self._housekeeping = Housekeeping(self, self._keeping, self._warm, self._warming)
        self._queue: FairQueue[Wanted, Given] = FairQueue(settings.queue_size)
        self._stopping = False
        self._owners: Collection[str] | None = None

    def start(self) -> None:
        """Begin to warm processes and to clean up in the background."""
        self.places.join(self)
        self._warming.start()
        self._tasks.keep(self._housekeeping.run, "claude-pool")

    async def stop(self) -> None:
        """End every process, all at the same time; requests that wait fail."""
        self._stopping = True
        await self._tasks.close()
        for wait in list(self._queue):
            self._queue.remove(wait)
            wait.given.set_exception(_stopping())
        await asyncio.gather(*(process.end() for process in list(self.processes)))
        self.places.leave(self)

    def take_over(self, before: Pool) -> None:
        """Share the places of the previous pool, which may still have processes; call this before a start."""
        self.places = before.places

    def renew(self, before: float = math.inf) -> bool:
        """End the warm processes that were started ``before`` this time; return whether there were any.

        ``before`` is on the monotonic clock, in seconds. The background task warms others in their place.
        """
        old = [process for process in self._warm.processes if process.born < before]
        for process in old:
            self._warm.lose(process)
            self.discard(process, idle=True)
        return bool(old)

    def retire(self) -> None:
        """End all idle processes, since no more requests come to this pool."""
        for kept in self._keeping:
            self._keeping.take_process(kept.conversation.process)
            self.end_kept(kept, "reload")
        while process := self._warm.take_any():
            self.discard(process, idle=True)

    @property
    def counts(self) -> dict[str, int]:
        """How many processes there are of each kind, and how many requests wait."""
        warm, kept = self._warm.processes, len(self._keeping)
        return {
            **census.counts(self.processes, warm, kept, len(self.ending)),
            "queued": len(self._queue),
        }

    @property
    def facts(self) -> list[ProcessFacts]:
        """What can be told of each process; this reads ``/proc``."""
        return census.facts(self.processes, self._warm.processes, self._keeping, self.ending)

    @property
    def task_problems(self) -> dict[str, str]:
        """What is wrong with the pool's background tasks, by their names."""
        return self._tasks.problems

    async def obtain(self, wanted: Wanted) -> tuple[Conversation, Plan] | CliProcess:
        """Return the best conversation for a request, or a process that nobody has spoken to.

        Raises :class:`Busy` when the queue is full or the wait takes longer than ``queue_timeout``, and
        :class:`BackendUnavailable` when no process can be started.
        """
        self.places.join(self)
        self._warming.asked()
        while True:
            found: Given = self._find(wanted, self._price(wanted.kind))
            if found is None:
                found = self._warm.take(wanted.kind) or await self._place(wanted)
            if found is None:
                return await self._spawn(wanted.kind)
            if not isinstance(found, Kept):
                return found
            if not await self._is_ready(found):
                continue
            if (plan := found.plan(wanted)) is None:  # it has changed since it was chosen
                self._keeping.put_back(found)
                continue
            self._warming.use(wanted.kind)
            found.conversation.process.wake()
            return found.conversation, plan

    async def spare(self, kind: ProcessKind) -> CliProcess | None:
        """Start a process for later, unless a request needs the place; return ``None`` if there is no room.

        If there are many conversations, one in which nobody has asked anything for a while is ended for it.
        """
        self.places.join(self)
        if not self.places.has_room() and len(self._keeping) >= _MANY and not len(self._queue):
            oldest = self._keeping.oldest_idle(_LEFT_ALONE)
            if oldest is not None:
                self.end_kept(oldest, "crowded out")
                await oldest.conversation.process.exits_within(_GONE_WITHIN)
        if len(self._queue) or not self._may_warm or not self.places.has_room():
            return None
        self.reserved += 1
        return await self._spawn(kind)

    @property
    def _may_warm(self) -> bool:
        return not self._stopping and self.places.is_newest(self)

    def refill(self, kind: ProcessKind) -> None:
        """Warm a successor for a process that has begun to answer, in the background."""
        if self._may_warm:
            self._tasks.start(self._warming.refill(kind), f"claude-warm-{kind.model}", lasting=True)

    def park(
        self, conversation: Conversation, owner: Client, becoming: Coroutine[Any, Any, bool] | None = None
    ) -> None:
        """Keep a conversation, which is ready when ``becoming`` has returned true; if that fails, end it.

        A conversation that belongs to a revoked key is ended at once.
        """
        if owner.owner and self._owners is not None and owner.owner not in self._owners:
            if becoming is not None:
                becoming.close()
            self.discard(conversation.process)
            return

        ready = self._tasks.start(becoming, "claude-settle") if becoming is not None else None
        kept = self._keeping.keep(conversation, owner, ready)
        self.traces.keep(conversation.process.pid, kept.trace)
        if ready is not None:
            ready.add_done_callback(lambda done: self._settled(kept, done))
        self.serve()
        if not self.places.is_newest(self):
            self.retire()

    def keep_only(self, owners: Collection[str]) -> None:
        """End the conversations of all other owners, now or when their turn is over."""
        self._owners = owners
        for kept in self._keeping.take_others(owners):
            self.end_kept(kept, "revoked key")

    def discard(self, process: CliProcess, why: str = "it failed", *, idle: bool = False) -> None:
        """End a process in the background: by a signal, or if it is ``idle`` by closing its input.

        ``why`` is told to requests that would have gone on in it.
        """
        self.traces.end(process.pid, why)
        if process in self.processes and process not in self.ending and not self._stopping:
            self.ending.add(process)
            self._tasks.start(process.end(idle=idle), f"claude-end-{process.pid}")

    # --- what is kept

    def _find(self, wanted: Wanted, fresh: float) -> Kept | None:
        return self._keeping.take(wanted, fresh)

    def _price(self, kind: ProcessKind) -> float:
        """Return what a fresh process costs now."""
        if self._warm.count(kind):
            return choice.READY
        if self.places.has_room() and not len(self._queue):
            return choice.STARTED
        return self._price_of_room()

    def _price_of_room(self) -> float:
        """Return what a fresh process costs if another must be ended; one in a tool loop is too valuable."""
        spare = self._warm.processes or self._keeping.without_open_calls
        return choice.CROWDED if spare else choice.FULL

    async def _is_ready(self, kept: Kept) -> bool:
        """Wait until a conversation is ready, and return whether it can go on; if not, end its process."""
        process = kept.conversation.process
        try:
            ready = kept.ready is None or await asyncio.shield(kept.ready)
        except BaseException:  # the client left meanwhile
            if kept.ready is None or kept.ready.done() or self._stopping:
                self.discard(process)
            else:
                self._keeping.put_back(kept)
                self.serve()
            raise
        if ready and process.alive:
            return True

        self.discard(process)
        return False

    def _settled(self, kept: Kept, done: asyncio.Task[bool]) -> None:
        """End a conversation that failed to become ready, if it is still kept."""
        if not self._stopping and kept in self._keeping and (done.cancelled() or not done.result()):
            self._keeping.take_process(kept.conversation.process)
            self.discard(kept.conversation.process)

    # --- places

    async def _place(self, wanted: Wanted) -> Given:
        """Wait for a place for a new process, or for a process or conversation that becomes free before."""
        if not len(self._queue) and self.places.has_room():
            self.reserved += 1
            return None
        wait = self._queue.add(wanted.client.owner or wanted.client.address, wanted)
        if wait is None:
            raise self._busy("the queue is full")
        self.serve()
        try:
            async with asyncio.timeout(self.settings.queue_timeout):
                return await asyncio.shield(wait.given)
        except GaveWay as error:
            raise self._busy("the queue is full, and others wait with fewer requests") from error
        except BaseException as error:
            self._leave(wait)
            if not isinstance(error, TimeoutError):
                raise
            raise self._busy(f"none was free within {self.settings.queue_timeout:g} s") from error

    def _busy(self, why: str) -> Busy:
        return Busy(f"all {self.places.limit} processes are busy, and {why}", retry_after=_RETRY_AFTER)

    def _leave(self, wait: Wait[Wanted, Given]) -> None:
        """End a wait; if it has received something in the same instant, make that available again."""
        self._queue.remove(wait)
        if not wait.given.done():
            wait.given.cancel()
        elif not wait.given.cancelled() and not wait.given.exception():
            found = wait.given.result()
            if found is None:
                self.reserved -= 1
            elif isinstance(found, Kept):
                self._keeping.put_back(found)
            else:
                self._warm.add(found)
            self.serve()

    def serve(self) -> None:
        """Serve the requests that wait: the best conversation, else a warm process, else room.

        For each request that gets nothing, an idle process is ended to make room.
        """
        leaving = self.places.leaving
        for wait in list(self._queue):
            found = self._find(wait.asked, self._price_of_room()) or self._warm.take(wait.asked.kind)
            if found is not None:
                self._queue.give(wait, found)
            elif self.places.has_room():
                self.reserved += 1
                self._queue.give(wait, None)
            elif leaving:
                leaving -= 1
            elif self.evict() is None:
                self.places.evict_elsewhere(self)

    def evict(self) -> CliProcess | None:
        """End the idle process that is the least loss and return it; return ``None`` if there is none."""
        if kept := self._keeping.take_oldest():
            self.end_kept(kept, "crowded out")
            return kept.conversation.process
        if process := self._warm.take_any():
            self.discard(process, idle=True)
        return process

    def end_kept(self, kept: Kept, why: str) -> None:
        """End the process of a conversation that was taken out of the kept ones."""
        idle = kept.is_settled and not kept.conversation.pending
        if kept.ready is not None:
            kept.ready.cancel()
        self.discard(kept.conversation.process, why, idle=idle)

    def _release(self) -> None:
        self.reserved -= 1
        self.places.freed()

    # --- processes

    async def _spawn(self, kind: ProcessKind) -> CliProcess:
        """Start a process in the place that was reserved for it."""
        try:
            process = await self._launch(kind, self._exited)
            self.processes.add(process)
        finally:
            self._release()
        if self._stopping:
            await process.end()
            raise _stopping()
        return process

    def _exited(self, process: CliProcess) -> None:
        expected = process in self.ending or process.killed
        self.processes.discard(process)
        self.ending.discard(process)
        if self._warm.lose(process):
            self._warm.back_off(process.kind)
        self._keeping.take_process(process)
        self.traces.end(process.pid, "by itself")
        if not self._stopping:
            self._tasks.start(process.end(), f"claude-reap-{process.pid}")
        if not (expected or self._stopping):
            self.crashes += 1
            logger.warning("a Claude Code process ended by itself: %s", process.last_words())
        self.places.freed()


def _stopping() -> BackendUnavailable:
    return BackendUnavailable("the proxy is stopping")
