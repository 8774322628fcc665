"""Keeps a pool in order while nobody asks: ends what is old, idle or large, and warms what may be needed."""

from __future__ import annotations

import asyncio
from typing import Protocol

from claude_max_proxy.backends.claude_cli.keeping import Keeping, Kept
from claude_max_proxy.backends.claude_cli.places import Holder, Places
from claude_max_proxy.backends.claude_cli.process import CliProcess
from claude_max_proxy.backends.claude_cli.warm import Warm
from claude_max_proxy.backends.claude_cli.warming import Warming


_INTERVAL = 5.0
_PAUSED_AFTER = 2.0


class House(Holder, Protocol):
    """The pool that is kept in order."""

    places: Places

    def discard(self, process: CliProcess, why: str = "", *, idle: bool = False) -> None:
        """End a process in the background."""

    def end_kept(self, kept: Kept, why: str) -> None:
        """End the process of a conversation that was taken out of the kept ones."""


class Housekeeping:
    """Goes through the processes of one pool every few seconds."""

    def __init__(self, house: House, keeping: Keeping, warm: Warm, warming: Warming) -> None:
        """Take care of ``house``, whose idle processes are in ``keeping`` and in ``warm``."""
        self._house = house
        self._keeping = keeping
        self._warm = warm
        self._warming = warming

    async def run(self) -> None:
        """Warm the models used lately, renew old processes, end those not needed, and pause idle ones."""
        settings = self._house.settings
        while True:
            for kept in self._keeping.take_older_than(settings.idle_timeout):
                self._house.end_kept(kept, "idle")
            for process in self._warm.take_older_than(settings.warm_timeout):
                self._house.discard(process, idle=True)
            if self._warming.resting:
                self._shrink()
            await self._warming.keep_up(empty=not self._house.processes)
            if self._house.places.bounds_memory and self._house.places.is_newest(self._house):
                await self._mind_memory()
            for process in [*self._keeping.idle(_PAUSED_AFTER), *self._warm.idle(_PAUSED_AFTER)]:
                process.pause()
            await asyncio.sleep(_INTERVAL)

    async def _mind_memory(self) -> None:
        """Measure all processes, and end idle ones until the rest is within the memory limit."""
        house, places = self._house, self._house.places
        await asyncio.to_thread(places.measure)
        excess = places.excess()
        while excess > 0 and (process := house.evict() or places.evict_elsewhere(house)):
            excess -= places.size(process)
        house.serve()

    def _shrink(self) -> None:
        """End all idle processes but the one used last and those that are always kept warm."""
        newest = next(reversed(list(self._keeping)), None)
        for kept in self._keeping:
            if kept is not newest:
                self._keeping.take_process(kept.conversation.process)
                self._house.end_kept(kept, "idle")
        spare = None if newest else self._warming.last
        for process in self._warm.processes:
            if process.kind != spare and process.kind not in self._warming.always:
                self._warm.lose(process)
                self._house.discard(process, idle=True)
