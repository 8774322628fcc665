"""Brings a request to a process: a used one that is taken to where the request goes on, or a fresh one."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

import msgspec

from claude_max_proxy import Events, Message, ProxyError, Request
from claude_max_proxy.backends.claude_cli.choice import Wanted
from claude_max_proxy.backends.claude_cli.conversation import Conversation
from claude_max_proxy.backends.claude_cli.installation import Installation
from claude_max_proxy.backends.claude_cli.pool import Pool
from claude_max_proxy.backends.claude_cli.process import CliProcess
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings
from claude_max_proxy.backends.claude_cli.transcript import Plan
from claude_max_proxy.backends.claude_cli.tuning import Tuning
from claude_max_proxy.backends.claude_cli.turn import Turn
from claude_max_proxy.tasks import Tasks


logger = logging.getLogger(__name__)

_Made = TypeVar("_Made")


class Opening:
    """One backend's. What it does with a process it does to the end, also if the client leaves meanwhile."""

    def __init__(
        self,
        settings: ClaudeCliSettings,
        pool: Pool,
        tasks: Tasks,
        installation: Installation,
        tune: Callable[[Request, str], Tuning],
    ) -> None:
        """Take processes from ``pool``; ``tune`` says what a request asks of a model beyond its words."""
        self._settings = settings
        self._pool = pool
        self._tasks = tasks
        self._installation = installation
        self._tune = tune

    async def open(self, request: Request, wanted: Wanted) -> tuple[Conversation, Events]:
        """Return a conversation where the request is, and its answer; try the next where a process fails."""
        began = time.monotonic()
        while True:
            obtained = await self._pool.obtain(wanted)
            queued = time.monotonic() - began
            if isinstance(obtained, CliProcess):
                return await self._begin(obtained, wanted, request, queued)
            conversation, plan = obtained
            if events := await self._go_on(conversation, plan, request, queued):
                return conversation, events

    async def _go_on(
        self, conversation: Conversation, plan: Plan, request: Request, queued: float
    ) -> Events | None:
        """Go on in a process that was used before; end it and return ``None`` when that is not possible."""
        model = conversation.process.kind.model
        try:
            tuning = self._tune(request, model)
        except ProxyError:  # the request's fault
            self._pool.park(conversation, request.client)
            raise
        turn = Turn(request, live=not plan.lines and plan.keep > 0, queued=queued)
        try:
            if plan.results is None:
                following = conversation.follow(plan, request, self._full_name(model))
                asked = await self._undisturbed(conversation, request, following)
                return conversation.ask(asked, turn, tuning, self._longest(model))
            waiting = conversation.waits_for_results(request, tuning)
            if await self._undisturbed(conversation, request, waiting):
                return conversation.resume(plan, request, turn, tuning, self._longest(model))
        except ProxyError as error:  # it died, or did not do as it was told
            logger.info("a used process is not used again: %s", error.message)
        self._pool.discard(conversation.process)
        return None

    async def _begin(
        self, process: CliProcess, wanted: Wanted, request: Request, queued: float
    ) -> tuple[Conversation, Events]:
        """Bind a process that nobody has spoken to, and bring it to where the request is."""
        model = wanted.kind.model
        conversation = Conversation(
            process, self._settings, self._installation.learn_usages, wanted.root, movable=wanted.movable
        )
        binding = self._bind(conversation, request)
        try:
            asked = await self._undisturbed(conversation, request, binding)
            tuning = self._tune(request, model)
        except ProxyError:
            self._pool.discard(process)
            raise
        turn = Turn(request, live=False, queued=queued)
        return conversation, conversation.ask(asked, turn, tuning, self._longest(model))

    async def _bind(self, conversation: Conversation, request: Request) -> Message:
        self._installation.learn_models(await conversation.bind(request))
        return await conversation.follow(Plan(0), request, self._full_name(conversation.process.kind.model))

    async def _undisturbed(
        self, conversation: Conversation, request: Request, work: Coroutine[Any, Any, _Made]
    ) -> _Made:
        """Do the work to its end, also if the client leaves; then the conversation is kept as it is."""
        task = self._tasks.start(_told(work), "claude-open")
        try:
            made = await asyncio.shield(task)
        except BaseException:
            self._pool.park(conversation, request.client, _succeeds(task))
            raise
        if made.failure is not None:
            raise made.failure
        return cast("_Made", made.value)

    def _full_name(self, model: str) -> str:
        return self._installation.describe(model).name.removesuffix("[1m]")

    def _longest(self, model: str) -> int | None:
        return self._installation.describe(model).max_output_tokens


class _Outcome(msgspec.Struct, frozen=True):
    value: Any = None
    failure: ProxyError | None = None


async def _told(work: Coroutine[Any, Any, Any]) -> _Outcome:
    """Return what became of the work, its failure as a value: nobody may be there to hear of it."""
    try:
        return _Outcome(await work)
    except ProxyError as error:
        return _Outcome(failure=error)


async def _succeeds(task: asyncio.Task[_Outcome]) -> bool:
    """Wait for the end of a task, and say whether it went well."""
    await asyncio.wait({task})
    return not task.cancelled() and task.exception() is None and task.result().failure is None
