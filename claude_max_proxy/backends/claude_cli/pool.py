"""The processes of one backend: a bound on all, and a fair queue for what is over it.

A process is *warm* (spawned, spoken to by nobody), *busy* (answering), *parked* (holding a conversation that
nobody asks anything now) or *ending*. All four count against the bound until the process is gone. A request
goes to the process in which it goes on best. Parked and warm ones give way to whoever needs the place: the
longest parked first, then a warm one of another kind.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from claude_max_proxy import BackendUnavailable, Busy, Client
from claude_max_proxy.backends.claude_cli import choice
from claude_max_proxy.backends.claude_cli.choice import Wanted
from claude_max_proxy.backends.claude_cli.conversation import Conversation
from claude_max_proxy.backends.claude_cli.fair_queue import FairQueue, Wait
from claude_max_proxy.backends.claude_cli.keeping import Keeping, Kept
from claude_max_proxy.backends.claude_cli.kind import Kind
from claude_max_proxy.backends.claude_cli.memory import MemoryBudget, read_size
from claude_max_proxy.backends.claude_cli.process import CliProcess
from claude_max_proxy.backends.claude_cli.rehearsal import Rehearsal
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings
from claude_max_proxy.backends.claude_cli.transcript import Plan
from claude_max_proxy.backends.claude_cli.used_models import UsedModels
from claude_max_proxy.backends.claude_cli.warm import Warm
from claude_max_proxy.backends.claude_cli.warming import Warming
from claude_max_proxy.tasks import Tasks


logger = logging.getLogger(__name__)

# What a request gets: a conversation, a process that nobody has spoken to, or else room for a new one.
Given = Kept | CliProcess | None
Launch = Callable[[Kind, Callable[[CliProcess], None]], Awaitable[CliProcess]]
_RETRY_AFTER = 10
_MAINTENANCE = 5.0
_PAUSED_AFTER = 2.0
_MANY, _LEFT_ALONE, _GONE_WITHIN = 4, 10.0, 5.0


class Pool:
    """Owns every process of a backend, from spawn to exit."""

    def __init__(
        self,
        settings: ClaudeCliSettings,
        launch: Launch,
        rehearsal: Callable[[Kind], Rehearsal],
        memory: UsedModels,
    ) -> None:
        """Use ``launch(kind, on_exit)`` to start processes, and ``rehearsal(kind)`` to warm them."""
        self.crashes = 0
        self._settings = settings
        self._launch = launch
        self._tasks = Tasks()
        self._all: set[CliProcess] = set()
        self._ending: set[CliProcess] = set()
        self._keeping = Keeping()
        self._warm = Warm()
        self._warming = Warming(settings, self._warm, memory, rehearsal, self.spare, self._serve_queue)
        self._queue: FairQueue[Wanted, Given] = FairQueue(settings.queue_size)
        self._budget = MemoryBudget(read_size(settings.max_memory))
        self._reserved = 0
        self._stopping = False

    def start(self) -> None:
        """Warm the configured models, or the one used last, and keep house, in the background."""
        self._warming.start()
        self._tasks.start(self._keep_house(), "claude-pool")

    async def stop(self) -> None:
        """End every process, at once and together."""
        self._stopping = True
        await self._tasks.close()
        for wait in list(self._queue):
            self._queue.remove(wait)
            wait.given.set_exception(_stopping())
        await asyncio.gather(*(process.end() for process in list(self._all)))

    @property
    def counts(self) -> dict[str, int]:
        """How many processes there are of each kind, and how many requests wait."""
        waiting = self._warm.processes
        warm = sum(process.rehearsed.is_set() for process in waiting)
        busy = len(self._all) - len(waiting) - len(self._keeping) - len(self._ending)
        return {
            "starting": len(waiting) - warm,
            "warm": warm,
            "busy": busy,
            "parked": len(self._keeping),
            "ending": len(self._ending),
            "queued": len(self._queue),
        }

    async def obtain(self, wanted: Wanted) -> tuple[Conversation, Plan] | CliProcess:
        """Return the conversation in which the request goes on best, or a process that nobody has spoken to.

        Raises :class:`Busy` when the queue is full or the wait too long.
        """
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
            if (plan := found.plan(wanted)) is None:  # it has become another since it was chosen
                self._keeping.put_back(found)
                continue
            self._warming.use(wanted.kind)
            found.conversation.process.wake()
            return found.conversation, plan

    async def spare(self, kind: Kind) -> CliProcess | None:
        """Return a process that nobody has spoken to, unless that takes it, or its place, from somebody.

        Of many conversations, one that nobody has gone on with for a while gives way.
        """
        if not self._has_room() and len(self._keeping) >= _MANY and not len(self._queue):
            oldest = self._keeping.oldest_idle(_LEFT_ALONE)
            if oldest is not None:
                self._end_kept(oldest)
                await oldest.conversation.process.exits_within(_GONE_WITHIN)
        if self._stopping or len(self._queue) or not self._has_room():
            return None
        self._reserved += 1
        return await self._spawn(kind)

    def refill(self, kind: Kind) -> None:
        """Warm a successor of a process that has begun to answer, in the background."""
        if not self._stopping:
            self._tasks.start(self._warming.refill(kind), f"claude-warm-{kind.model}")

    def park(
        self, conversation: Conversation, owner: Client, becoming: Coroutine[Any, Any, bool] | None = None
    ) -> None:
        """Keep a conversation that is ready once ``becoming`` says so; it is ended if that says otherwise."""
        ready = self._tasks.start(becoming, "claude-settle") if becoming is not None else None
        kept = self._keeping.keep(conversation, owner, ready)
        if ready is not None:
            ready.add_done_callback(lambda done: self._settled(kept, done))
        self._serve_queue()

    def discard(self, process: CliProcess, *, idle: bool = False) -> None:
        """End a process in the background: at once, or by an orderly exit when it has nothing to do."""
        if process in self._all and process not in self._ending and not self._stopping:
            self._ending.add(process)
            self._tasks.start(process.end(idle=idle), f"claude-end-{process.pid}")

    # --- what is kept

    def _find(self, wanted: Wanted, fresh: float) -> Kept | None:
        return self._keeping.take(wanted, fresh)

    def _price(self, kind: Kind) -> float:
        """Return what a fresh process costs now."""
        if self._warm.count(kind):
            return choice.READY
        if self._has_room() and not len(self._queue):
            return choice.STARTED
        return self._price_of_room()

    def _price_of_room(self) -> float:
        """Return what a fresh process costs where another must end: too much if that is in a tool loop."""
        spare = self._warm.processes or self._keeping.without_open_calls
        return choice.CROWDED if spare else choice.FULL

    async def _is_ready(self, kept: Kept) -> bool:
        """Wait for the end of what a conversation was doing; say whether it can go on, or end its process."""
        process = kept.conversation.process
        try:
            ready = kept.ready is None or await asyncio.shield(kept.ready)
        except BaseException:  # the client left meanwhile
            if kept.ready is None or kept.ready.done() or self._stopping:
                self.discard(process)
            else:
                self._keeping.put_back(kept)
                self._serve_queue()
            raise
        if ready and process.alive:
            return True

        self.discard(process)
        return False

    def _settled(self, kept: Kept, done: asyncio.Task[bool]) -> None:
        """End at once what will never be ready, if it still waits."""
        if not self._stopping and kept in self._keeping and (done.cancelled() or not done.result()):
            self._keeping.take_process(kept.conversation.process)
            self.discard(kept.conversation.process)

    # --- places

    def _has_room(self) -> bool:
        there = [process.pid for process in self._all]
        return len(there) + self._reserved < self._settings.max_processes and self._budget.allows(
            there, self._reserved + 1
        )

    async def _place(self, wanted: Wanted) -> Given:
        """Reserve a place for a new process, at once or after a wait, which may end with something better."""
        if not len(self._queue) and self._has_room():
            self._reserved += 1
            return None
        if self._queue.full:
            raise Busy(
                f"all {self._settings.max_processes} processes are busy and the queue is full",
                retry_after=_RETRY_AFTER,
            )
        wait = self._queue.add(wanted.client.key or wanted.client.address, wanted)
        self._serve_queue()
        try:
            async with asyncio.timeout(self._settings.queue_timeout):
                return await asyncio.shield(wait.given)
        except BaseException as error:
            self._leave(wait)
            if not isinstance(error, TimeoutError):
                raise
            raise Busy(
                f"no process was free within {self._settings.queue_timeout:g} s",
                retry_after=_RETRY_AFTER,
            ) from error

    def _leave(self, wait: Wait[Wanted, Given]) -> None:
        """End a wait, and give back what came in the same instant."""
        self._queue.remove(wait)
        if not wait.given.done():
            wait.given.cancel()
        elif not wait.given.cancelled() and not wait.given.exception():
            found = wait.given.result()
            if found is None:
                self._reserved -= 1
            elif isinstance(found, Kept):
                self._keeping.put_back(found)
            else:
                self._warm.add(found)
            self._serve_queue()

    def _serve_queue(self) -> None:
        """Give what is there to those who wait: what goes on best, else room, for which idle ones must go."""
        leaving = len(self._ending)
        for wait in list(self._queue):
            found = self._find(wait.asked, self._price_of_room()) or self._warm.take(wait.asked.kind)
            if found is not None:
                self._queue.give(wait, found)
            elif self._has_room():
                self._reserved += 1
                self._queue.give(wait, None)
            elif leaving:
                leaving -= 1
            else:
                self._evict()

    def _evict(self) -> CliProcess | None:
        """End the process that is the least loss, and return it."""
        if kept := self._keeping.take_oldest():
            self._end_kept(kept)
            return kept.conversation.process
        if process := self._warm.take_any():
            self.discard(process, idle=True)
        return process

    def _end_kept(self, kept: Kept) -> None:
        idle = kept.is_settled and not kept.conversation.pending
        if kept.ready is not None:
            kept.ready.cancel()
        self.discard(kept.conversation.process, idle=idle)

    def _release(self) -> None:
        self._reserved -= 1
        self._serve_queue()

    # --- processes

    async def _spawn(self, kind: Kind) -> CliProcess:
        """Start a process in the place that is reserved for it."""
        try:
            process = await self._launch(kind, self._exited)
            self._all.add(process)
        finally:
            self._release()
        if self._stopping:
            await process.end()
            raise _stopping()
        return process

    def _exited(self, process: CliProcess) -> None:
        expected = process in self._ending or process.killed
        self._all.discard(process)
        self._ending.discard(process)
        if self._warm.lose(process):
            self._warm.back_off(process.kind)
        self._keeping.take_process(process)
        if not self._stopping:
            self._tasks.start(process.end(), f"claude-reap-{process.pid}")
        if not (expected or self._stopping):
            self.crashes += 1
            logger.warning("a Claude Code process ended by itself: %s", process.last_words())
        self._serve_queue()

    async def _keep_house(self) -> None:
        """Warm what was used lately, renew what is old, end what nobody needs, and stop what is idle."""
        while True:
            for kept in self._keeping.take_older_than(self._settings.idle_timeout):
                self._end_kept(kept)
            for process in self._warm.take_older_than(self._settings.warm_timeout):
                self.discard(process, idle=True)
            if self._warming.resting:
                self._shrink()
            await self._warming.keep_up(empty=not self._all)
            if self._budget.limit is not None:
                await self._mind_memory()
            for process in [*self._keeping.idle(_PAUSED_AFTER), *self._warm.idle(_PAUSED_AFTER)]:
                process.pause()
            await asyncio.sleep(_MAINTENANCE)

    async def _mind_memory(self) -> None:
        """Measure all processes, and let idle ones go until the rest is within what it may take."""
        there = [process.pid for process in self._all if process not in self._ending]
        await asyncio.to_thread(self._budget.measure, there)
        excess = self._budget.excess(there)
        while excess > 0 and (process := self._evict()):
            excess -= self._budget.size(process.pid)
        self._serve_queue()

    def _shrink(self) -> None:
        """Leave one process, the one used last, and those that are always to be warm."""
        newest = next(reversed(list(self._keeping)), None)
        for kept in self._keeping:
            if kept is not newest:
                self._keeping.take_process(kept.conversation.process)
                self._end_kept(kept)
        spare = None if newest else self._warming.last
        for process in self._warm.processes:
            if process.kind != spare and process.kind not in self._warming.always:
                self._warm.lose(process)
                self.discard(process, idle=True)


def _stopping() -> BackendUnavailable:
    return BackendUnavailable("the proxy is stopping")
