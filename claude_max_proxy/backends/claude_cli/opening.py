"""Brings a request to a process: a used one, brought to where the request goes on, or a fresh one."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

import msgspec

from claude_max_proxy import Events, Message, ProxyError, Request, Tasks
from claude_max_proxy.backends.claude_cli.channel import Hear
from claude_max_proxy.backends.claude_cli.choice import Wanted
from claude_max_proxy.backends.claude_cli.conversation import Conversation
from claude_max_proxy.backends.claude_cli.installation import Installation
from claude_max_proxy.backends.claude_cli.pool import Pool
from claude_max_proxy.backends.claude_cli.process import CliProcess
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings
from claude_max_proxy.backends.claude_cli.traces import FAILED, OPEN_CALLS, REWIND_REFUSED
from claude_max_proxy.backends.claude_cli.transcript import Plan
from claude_max_proxy.backends.claude_cli.tuning import Tuning
from claude_max_proxy.backends.claude_cli.turn import Turn


logger = logging.getLogger(__name__)

_Made = TypeVar("_Made")


class Opening:
    """Opens conversations for one backend.

    Once it has begun to prepare a process, it finishes doing so, even if the client leaves meanwhile.
    """

    def __init__(
        self,
        settings: ClaudeCliSettings,
        pool: Pool,
        tasks: Tasks,
        installation: Installation,
        tune: Callable[[Request, str], Tuning],
        hear: Hear,
    ) -> None:
        """Take processes from ``pool``; ``tune`` returns the settings that a request asks a model for.

        ``hear`` is called with what the CLI says about the plan's usage limit.
        """
        self._settings = settings
        self._pool = pool
        self._tasks = tasks
        self._installation = installation
        self._tune = tune
        self._hear = hear

    async def open(self, request: Request, wanted: Wanted) -> tuple[Conversation, Events]:
        """Return a conversation that is ready for the request, and the events of the answer.

        If a used process fails while it is prepared, another one is tried.
        """
        began, refused = time.monotonic(), ""
        while True:
            obtained = await self._pool.obtain(wanted)
            queued = time.monotonic() - began
            if isinstance(obtained, CliProcess):
                why = refused or self._pool.traces.reason(wanted)
                return await self._begin(obtained, wanted, request, queued, why)
            conversation, plan = obtained
            live = not plan.lines and plan.keep > 0
            why = "" if live else refused or self._pool.traces.reason(wanted)
            self._pool.traces.take(conversation.process.pid, goes_on=live)
            if events := await self._go_on(conversation, plan, request, queued, why):
                return conversation, events
            refused = _why_not(plan)

    async def _go_on(
        self, conversation: Conversation, plan: Plan, request: Request, queued: float, why: str
    ) -> Events | None:
        """Go on in a process that was used before, and return the answer's events.

        ``why`` says why that is not in place, and is empty if it is. If it is not possible, the process is
        ended and ``None`` is returned.
        """
        model = conversation.process.kind.model
        try:
            tuning = self._tune(request, model)
        except ProxyError:  # this is the request's fault, so the conversation stays as it is
            self._pool.park(conversation, request.client)
            raise
        turn = Turn(request, live=not plan.lines and plan.keep > 0, queued=queued, replayed=why)
        conversation.process.give(request.client.session)
        try:
            if plan.results is None:
                following = conversation.follow(plan, request, self._full_name(model))
                asked = await self._undisturbed(conversation, request, following)
                return conversation.ask(asked, turn, tuning, self._longest(model))
            waiting = conversation.waits_for_results(request, tuning)
            if await self._undisturbed(conversation, request, waiting):
                return conversation.resume(plan, request, turn, tuning, self._longest(model))
        except ProxyError as error:  # the process died, or did not do as it was told
            logger.info("a used process is not used again: %s", error.logged)
        self._pool.discard(conversation.process)
        return None

    async def _begin(
        self, process: CliProcess, wanted: Wanted, request: Request, queued: float, why: str
    ) -> tuple[Conversation, Events]:
        """Bind a process that nobody has spoken to, and replay the request's history in it."""
        model = wanted.kind.model
        conversation = Conversation(
            process,
            self._settings,
            self._installation.learn_usages,
            wanted.root,
            movable=wanted.movable,
            bound=wanted.bound,
        )
        conversation.report_limits(self._hear)
        binding = self._bind(conversation, request)
        try:
            asked = await self._undisturbed(conversation, request, binding)
            tuning = self._tune(request, model)
        except ProxyError:
            self._pool.discard(process)
            raise
        turn = Turn(request, live=False, queued=queued, replayed=why)
        process.give(request.client.session)
        return conversation, conversation.ask(asked, turn, tuning, self._longest(model))

    async def _bind(self, conversation: Conversation, request: Request) -> Message:
        self._installation.learn_models(await conversation.bind(request))
        return await conversation.follow(Plan(0), request, self._full_name(conversation.process.kind.model))

    async def _undisturbed(
        self, conversation: Conversation, request: Request, work: Coroutine[Any, Any, _Made]
    ) -> _Made:
        """Finish the work even if the client leaves, and return its result.

        If the client has left, the conversation is kept once the work has succeeded.
        """
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


def _why_not(plan: Plan) -> str:
    """Return why a request that was to go on by a plan has to be replayed."""
    if plan.results is not None:
        return OPEN_CALLS
    return REWIND_REFUSED if plan.lines else FAILED


class _Outcome(msgspec.Struct, frozen=True):
    value: Any = None
    failure: ProxyError | None = None


async def _told(work: Coroutine[Any, Any, Any]) -> _Outcome:
    """Return the work's result, or its failure as a value, since there may be nobody left to catch it."""
    try:
        return _Outcome(await work)
    except ProxyError as error:
        return _Outcome(failure=error)


async def _succeeds(task: asyncio.Task[_Outcome]) -> bool:
    """Wait for the end of a task, and return whether it succeeded."""
    await asyncio.wait({task})
    return not task.cancelled() and task.exception() is None and task.result().failure is None
