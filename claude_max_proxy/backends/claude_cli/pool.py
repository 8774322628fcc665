"""The processes of one backend: warm ones per kind, a bound on all, a fair queue for what is over it.

A process is *warm* (spawned, spoken to by nobody), *leased* (answering), *parked* (waiting to be continued)
or *ending*. All four count against the bound until the process is gone. Warm and parked ones give way to
whoever needs the place: the longest parked first, then a warm one of another kind.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable

from claude_max_proxy import BackendUnavailable, Busy, Client, ProxyError
from claude_max_proxy.backends.claude_cli.conversation import Conversation
from claude_max_proxy.backends.claude_cli.fair_queue import FairQueue
from claude_max_proxy.backends.claude_cli.kind import Kind
from claude_max_proxy.backends.claude_cli.parking import Parked, Parking
from claude_max_proxy.backends.claude_cli.process import CliProcess
from claude_max_proxy.backends.claude_cli.rehearsal import Rehearsal
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings
from claude_max_proxy.tasks import Tasks


logger = logging.getLogger(__name__)

Launch = Callable[[Kind, Callable[[CliProcess], None]], Awaitable[CliProcess]]
_RETRY_AFTER = 10
_LONGEST_BACKOFF = 60.0
_MAINTENANCE = 5.0
REFILL_DELAY = 0.3


class Pool:
    """Owns every process of a backend, from spawn to exit."""

    def __init__(
        self, settings: ClaudeCliSettings, launch: Launch, rehearsal: Callable[[Kind], Rehearsal]
    ) -> None:
        """Use ``launch(kind, on_exit)`` to start processes, and ``rehearsal(kind)`` to warm them."""
        self.parking = Parking()
        self.crashes = 0
        self._settings = settings
        self._launch = launch
        self._rehearsal = rehearsal
        self._tasks = Tasks()
        self._all: set[CliProcess] = set()
        self._ending: set[CliProcess] = set()
        self._warm: dict[Kind, deque[tuple[CliProcess, float]]] = defaultdict(deque)
        self._used: dict[Kind, float] = {}
        self._backoff: dict[Kind, tuple[float, float]] = {}
        self._queue = FairQueue(settings.queue_size)
        self._reserved = 0
        self._warming: set[Kind] = set()
        self._stopping = False

    def start(self) -> None:
        """Warm the configured models and keep house, in the background."""
        now = time.monotonic()
        self._used.update(dict.fromkeys(map(Kind, self._settings.warm_models), now))
        self._tasks.start(self._keep_house(), "claude-pool")

    async def stop(self) -> None:
        """End every process, at once and together."""
        self._stopping = True
        await self._tasks.close()
        for wait in iter(self._queue.next, None):
            wait.set_exception(_stopping())
        await asyncio.gather(*(process.end() for process in list(self._all)))

    @property
    def counts(self) -> dict[str, int]:
        """How many processes there are of each kind, and how many requests wait."""
        waiting = [process for ready in self._warm.values() for process, _ in ready]
        warm = sum(process.rehearsed.is_set() for process in waiting)
        busy = len(self._all) - len(waiting) - len(self.parking) - len(self._ending)
        return {
            "starting": len(waiting) - warm,
            "warm": warm,
            "busy": busy,
            "parked": len(self.parking),
            "ending": len(self._ending),
            "queued": len(self._queue),
        }

    async def lease(self, kind: Kind, client: str) -> CliProcess:
        """Return a process that nobody has spoken to: a warm one, a new one, or one after a wait.

        Raises :class:`Busy` when the queue is full or the wait too long.
        """
        while self._warm[kind]:
            process, _ = self._warm[kind].popleft()
            if process.alive:
                return process

        if len(self._queue) or not self._has_room():
            await self._wait(client)
        else:
            self._reserved += 1
        return await self._spawn(kind)

    def refill(self, kind: Kind) -> None:
        """Warm a successor of a leased process that has begun to answer: its kind is one that works.

        Not at once: starting a process takes a core, which the answer needs, most of all one that comes in a
        single burst.
        """
        self._used[kind] = time.monotonic()
        self._backoff.pop(kind, None)
        if not self._stopping:
            self._tasks.start(self._warm_later(kind), f"claude-warm-{kind.model}")

    def park(self, conversation: Conversation, fingerprint: bytes, owner: Client, settle: bool) -> None:
        """Keep a conversation for its continuation; ``settle`` waits for the end of its turn behind it."""
        ready = self._tasks.start(conversation.settle(), "claude-settle") if settle else None
        self.parking.park(conversation, fingerprint, owner, ready)
        self._make_room_for_queue()

    async def take(self, fingerprint: bytes, client: Client) -> Conversation | None:
        """Take the parked conversation that is exactly this, the client's own first, if fit to go on."""
        while parked := self.parking.take(fingerprint, client):
            conversation = parked.conversation
            try:
                ready = parked.ready is None or await parked.ready
            except BaseException:  # the client left meanwhile
                self.discard(conversation.process)
                raise
            if ready and conversation.process.alive:
                self._used[conversation.process.kind] = time.monotonic()
                return conversation
            self.discard(conversation.process)

        return None

    def discard(self, process: CliProcess, *, idle: bool = False) -> None:
        """End a process in the background: at once, or by an orderly exit when it has nothing to do."""
        if process in self._all and process not in self._ending and not self._stopping:
            self._ending.add(process)
            self._tasks.start(process.end(idle=idle), f"claude-end-{process.pid}")

    # --- places

    def _has_room(self) -> bool:
        return len(self._all) + self._reserved < self._settings.max_processes

    async def _wait(self, client: str) -> None:
        if self._queue.full:
            raise Busy(
                f"all {self._settings.max_processes} processes are busy and the queue is full",
                retry_after=_RETRY_AFTER,
            )
        wait = self._queue.add(client)
        self._make_room_for_queue()
        try:
            async with asyncio.timeout(self._settings.queue_timeout):
                await wait
        except BaseException as error:
            self._queue.remove(client, wait)
            if (
                wait.done() and not wait.cancelled() and not wait.exception()
            ):  # the place came in the same instant
                self._release()
            if not isinstance(error, TimeoutError):
                raise
            raise Busy(
                f"no process was free within {self._settings.queue_timeout:g} s",
                retry_after=_RETRY_AFTER,
            ) from error

    def _make_room_for_queue(self) -> None:
        """Let go of as many idle processes as requests wait beyond what is ending already."""
        for _ in range(len(self._queue) - len(self._ending)):
            if not self._evict():
                break
        self._serve_queue()

    def _evict(self) -> bool:
        parked = self.parking.take_oldest()
        if parked:
            self._end_parked(parked)
            return True

        for ready in self._warm.values():
            if ready:
                self.discard(ready.popleft()[0], idle=True)
                return True

        return False

    def _end_parked(self, parked: Parked) -> None:
        if parked.ready is not None:
            parked.ready.cancel()
        self.discard(parked.conversation.process, idle=not parked.conversation.pending)

    def _serve_queue(self) -> None:
        while self._has_room() and (wait := self._queue.next()):
            self._reserved += 1
            wait.set_result(None)

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
        for ready in self._warm.values():
            for entry in [entry for entry in ready if entry[0] is process]:
                ready.remove(entry)
                self._back_off(process.kind)
        self.parking.take_process(process)
        if not self._stopping:
            self._tasks.start(process.end(), f"claude-reap-{process.pid}")
        if not (expected or self._stopping):
            self.crashes += 1
            logger.warning("a Claude Code process ended by itself: %s", process.last_words())
        self._serve_queue()

    async def _warm_later(self, kind: Kind) -> None:
        await asyncio.sleep(REFILL_DELAY)
        await self._warm_up(kind)

    async def _warm_up(self, kind: Kind) -> None:
        backoff, _ = self._backoff.get(kind, (0.0, 0.0))
        if kind in self._warming or backoff > time.monotonic():
            return

        self._warming.add(kind)
        try:
            while len(self._warm[kind]) < self._settings.warm and not self._stopping:
                if not self._has_room() and not await self._make_room_for_warm():
                    return
                self._reserved += 1
                process = await self._spawn(kind)
                await process.rehearse(self._rehearsal(kind))
                self._warm[kind].append((process, time.monotonic()))
        except ProxyError as error:
            self._back_off(kind)
            logger.warning("no process for %r could be warmed: %s", kind.model, error)
        finally:
            self._warming.discard(kind)

    async def _make_room_for_warm(self) -> bool:
        """A warm process is worth more than the longest parked conversation, but not than the only one."""
        if len(self._queue) or len(self.parking) < 2:
            return False

        parked = self.parking.take_oldest()
        assert parked is not None
        self._end_parked(parked)
        await parked.conversation.process.exits_within(5.0)
        return self._has_room()

    def _back_off(self, kind: Kind) -> None:
        _, last = self._backoff.get(kind, (0.0, 0.5))
        pause = min(last * 2, _LONGEST_BACKOFF)
        self._backoff[kind] = (time.monotonic() + pause, pause)

    async def _keep_house(self) -> None:
        """Warm what was used lately, renew what is old, end what nobody continued."""
        while True:
            now = time.monotonic()
            for parked in self.parking.take_older_than(self._settings.idle_timeout):
                self._end_parked(parked)
            for ready in self._warm.values():
                while ready and ready[0][1] < now - self._settings.warm_timeout:
                    self.discard(ready.popleft()[0], idle=True)
            for kind, used in list(self._used.items()):
                if used > now - self._settings.warm_timeout:
                    await self._warm_up(kind)
                else:
                    del self._used[kind]
            self._forget()
            await asyncio.sleep(_MAINTENANCE)

    def _forget(self) -> None:
        """Drop what is known of kinds that nobody uses: their names are the clients' choice."""
        for known in (self._warm, self._backoff):
            for kind in [kind for kind in known if kind not in self._used and not self._warm.get(kind)]:
                del known[kind]


def _stopping() -> BackendUnavailable:
    return BackendUnavailable("the proxy is stopping")
