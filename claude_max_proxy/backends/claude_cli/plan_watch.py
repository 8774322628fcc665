"""The plan of the CLI's login: hears what the CLI says of it, and lets it ask when somebody looks."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import time
from collections.abc import Mapping, Sequence

from claude_max_proxy import PlanWindow, ProxyError, Request, Tasks
from claude_max_proxy.backends.claude_cli.command import environment
from claude_max_proxy.backends.claude_cli.conversation import Conversation
from claude_max_proxy.backends.claude_cli.installation import Installation
from claude_max_proxy.backends.claude_cli.plan import sightings, usage_sightings
from claude_max_proxy.backends.claude_cli.pool import Pool
from claude_max_proxy.backends.claude_cli.process_kind import ProcessKind
from claude_max_proxy.backends.claude_cli.protocol import RateLimitInfo
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings
from claude_max_proxy.facts.plan_windows import PlanWindows


logger = logging.getLogger(__name__)

_PAUSE = 300.0  # seconds; the provider answers 429 to those who ask it often
_PATIENCE = 3.0  # seconds that somebody who looks waits at most; the answer is there at the next look
_GATEWAY = "ANTHROPIC_BASE_URL"


class PlanWatch:
    """Keeps what is known of the plan's windows.

    Every answer of a subscriber's CLI says how the plan stands. Only when somebody looks, nothing was heard
    for five minutes, and nobody asked for five minutes, a process of its own asks the provider. It does so
    only with a login that has a plan, and not if the CLI is pointed at another address than the provider's.
    """

    def __init__(
        self, settings: ClaudeCliSettings, pool: Pool, installation: Installation, tasks: Tasks
    ) -> None:
        """Take processes from ``pool``."""
        self._windows = PlanWindows()
        self._settings = settings
        self._pool = pool
        self._installation = installation
        self._tasks = tasks
        self._asking: asyncio.Task[None] | None = None
        self._asked = -math.inf

    def take_over(self, before: PlanWatch) -> None:
        """Go on with what another watch of the same login knows."""
        if self._settings.env == before._settings.env:
            self._windows, self._asked = before._windows, before._asked

    def current(self) -> tuple[PlanWindow, ...]:
        """Return the windows with their pace."""
        return self._windows.current(time.time())

    def hear(self, limit: RateLimitInfo) -> None:
        """Take note of what the CLI says."""
        for window in sightings(limit, time.time()):
            self._windows.see(window)

    def hear_of(self, windows: Sequence[PlanWindow]) -> None:
        """Take note of what another replica has heard."""
        for window in windows:
            self._windows.see(window)

    async def look(self) -> None:
        """Ask the provider if that is due, and wait a short while for the answer."""
        if self._asking is None and self._is_due():
            self._asked = time.monotonic()
            self._asking = self._tasks.start(self._ask(), "claude-plan", lasting=True)
        if self._asking is not None:
            await asyncio.wait({self._asking}, timeout=_PATIENCE)

    def _is_due(self) -> bool:
        if not (self._settings.ask_plan and self._installation.subscription):
            return False
        if environment(os.environ, self._settings.env).get(_GATEWAY):
            return False
        heard = [window.seen_at for window in self.current() if window.used is not None]
        return time.monotonic() - self._asked > _PAUSE and time.time() - max(heard, default=0.0) > _PAUSE

    async def _ask(self) -> None:
        process = None
        try:
            process = await self._pool.spare(ProcessKind((self._settings.warm_models or ["sonnet"])[0]))
            if process is not None:  # otherwise the place is needed
                conversation = Conversation(process, self._settings, self._installation.learn_usages)
                await conversation.bind(Request(process.kind.model))
                limits: object = (await conversation.plan_usage()).rate_limits
                for window in usage_sightings(limits, time.time()):
                    self._windows.see(window)
                if not isinstance(limits, Mapping):
                    logger.info("the provider did not say how far the plan is used")
        except ProxyError as error:
            logger.info("the Claude Code CLI did not say how far the plan is used: %s", error.logged)
        finally:
            self._asking = None
            if process is not None:
                self._pool.discard(process)
