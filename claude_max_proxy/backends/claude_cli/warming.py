"""Starts processes before they are needed: decides for which models, how many, and when."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from claude_max_proxy import ProxyError
from claude_max_proxy.backends.claude_cli.process import CliProcess
from claude_max_proxy.backends.claude_cli.process_kind import ProcessKind
from claude_max_proxy.backends.claude_cli.rehearsal import Rehearsal
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings
from claude_max_proxy.backends.claude_cli.used_models import UsedModels
from claude_max_proxy.backends.claude_cli.warm import Warm


logger = logging.getLogger(__name__)

REFILL_DELAY = 0.3
_FIRST_MODEL = "sonnet"
_FORGOTTEN_AFTER = 3 * 24 * 3600.0


class Warming:
    """Warms the processes of one pool.

    ``always`` are the kinds for which processes are kept warm at all times, ``last`` is the kind used last.
    """

    def __init__(
        self,
        settings: ClaudeCliSettings,
        warm: Warm,
        memory: UsedModels,
        rehearsal: Callable[[ProcessKind], Rehearsal],
        spare: Callable[[ProcessKind], Awaitable[CliProcess | None]],
        on_warm: Callable[[], None],
    ) -> None:
        """Put processes into ``warm``, and call ``on_warm`` for each.

        ``spare`` starts a process, or returns ``None`` if there is no room. ``memory`` remembers the models
        used lately over a restart.
        """
        self.always = [ProcessKind(model) for model in settings.warm_models]
        self.last: ProcessKind | None = None
        self._asked_at = time.monotonic()
        self._settings = settings
        self._warm = warm
        self._memory = memory
        self._rehearsal = rehearsal
        self._spare = spare
        self._on_warm = on_warm
        self._busy: set[ProcessKind] = set()

    @property
    def resting(self) -> bool:
        """Whether nobody has asked anything for a while."""
        return time.monotonic() - self._asked_at > self._settings.rest_timeout

    def start(self) -> None:
        """Begin with the kinds that are always warm or, if there are none, with the one used last."""
        if not self.always and (model := self._memory.last_used(_FIRST_MODEL)):
            self.last = ProcessKind(model)
        self._warm.use([self.last] if self.last else [])

    def asked(self) -> None:
        """Note that a request has come."""
        self._asked_at = time.monotonic()

    def use(self, kind: ProcessKind) -> None:
        """Note that a request has gone to a process of this kind."""
        self._warm.use([kind])
        self.last = kind

    async def refill(self, kind: ProcessKind) -> None:
        """Warm a successor for a process of this kind that has begun to answer.

        This waits for a moment: starting a process keeps a core busy, which the answer needs, especially if
        it comes in a single burst.
        """
        self.use(kind)
        self._warm.works(kind)
        if kind.agent is None:
            self._memory.use(kind.model)
        await asyncio.sleep(REFILL_DELAY)
        await self._warm_up(kind)

    async def keep_up(self, *, empty: bool) -> None:
        """Warm all kinds that should be warm now; ``empty`` says that there is no process at all."""
        used = self._warm.used_within(self._settings.rest_timeout)
        if self.resting:
            forgotten = time.monotonic() - self._asked_at > _FORGOTTEN_AFTER
            used = [self.last] if empty and self.last is not None and not forgotten else []
        for kind in dict.fromkeys([*self.always, *used]):
            await self._warm_up(kind)

    async def _warm_up(self, kind: ProcessKind) -> None:
        if kind in self._busy or not self._warm.may_start(kind):
            return

        self._busy.add(kind)
        try:
            while self._warm.count(kind) < self._settings.warm:
                process = await self._spare(kind)
                if process is None:
                    return
                await process.rehearse(self._rehearsal(kind))
                self._warm.add(process)
                self._on_warm()
        except ProxyError as error:
            self._warm.back_off(kind)
            logger.warning("no process for %r could be warmed: %s", kind.model, error)
        finally:
            self._busy.discard(kind)
