"""The Claude CLI backend: finds or makes the right conversation for a request, and answers from it."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

from claude_max_proxy import (
    BackendUnavailable,
    Client,
    Events,
    Folding,
    Message,
    ModelInfo,
    Overloaded,
    ProxyError,
    Request,
    Tool,
    UpstreamFailed,
    UpstreamRefused,
    refusals,
)
from claude_max_proxy.backends.claude_cli import fingerprint
from claude_max_proxy.backends.claude_cli.choice import Wanted
from claude_max_proxy.backends.claude_cli.command import (
    arguments,
    environment,
    find_command,
    working_directory,
)
from claude_max_proxy.backends.claude_cli.conversation import Conversation
from claude_max_proxy.backends.claude_cli.installation import Installation, check_version
from claude_max_proxy.backends.claude_cli.kind import Kind
from claude_max_proxy.backends.claude_cli.once import run_once
from claude_max_proxy.backends.claude_cli.opening import Opening
from claude_max_proxy.backends.claude_cli.pool import Pool
from claude_max_proxy.backends.claude_cli.probe import Trust
from claude_max_proxy.backends.claude_cli.process import CliProcess
from claude_max_proxy.backends.claude_cli.rehearsal import Rehearsal, rehearsal
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings
from claude_max_proxy.backends.claude_cli.tuning import Tuning, tune
from claude_max_proxy.backends.claude_cli.used_models import UsedModels
from claude_max_proxy.backends.claude_cli.validation import check
from claude_max_proxy.backends.claude_cli.watchdog import Watchdog
from claude_max_proxy.messages_api import check_tools
from claude_max_proxy.tasks import Tasks


logger = logging.getLogger(__name__)

_BACKOFF = (0.2, 1.0, 3.0)
_VERSION_TIMEOUT = 20.0
_ANY_TOOL = Tool("any", parameters={"type": "object"})


class ClaudeCli:
    """One ``[backends.<name>]`` of type ``claude-cli``."""

    honours = frozenset({"anthropic_thinking", "top_k"})

    def __init__(self, name: str, settings: ClaudeCliSettings) -> None:
        """Prepare; nothing is started before :meth:`start`."""
        self.name = name
        self.installation = Installation()
        self.settings = settings
        self._pool = Pool(settings, self._launch, self._rehearsal, UsedModels(name))
        self._tasks = Tasks()
        self._opening = Opening(settings, self._pool, self._tasks, self.installation, self._tune)
        self._watchdog = Watchdog()
        self._refusals = refusals.Refusals()
        self._trust = Trust(settings)
        self._last_failure = ""
        self._prepared = False

    async def start(self) -> None:
        """Look at the installation and warm the pool, in the background."""
        await self._watchdog.start()
        self._tasks.start(self._prepare(), f"{self.name}-prepare")

    async def stop(self) -> None:
        """End every process. The private directory stays: another proxy of the same user may work in it."""
        await self._tasks.close()
        await self._pool.stop()
        await self._watchdog.stop()

    def describe(self, model: str) -> ModelInfo:
        """Say what the CLI told about ``model``."""
        return self.installation.describe(model)

    def health(self) -> dict[str, Any]:
        """Say how the CLI and its processes stand."""
        problem = self.installation.problem
        if not problem and self.installation.logged_in is False:
            problem = "not logged in; run `claude auth login`"
        if not problem and self.installation.logged_in is None and self._last_failure:  # nothing ever worked
            problem = f"it does not work: {self._last_failure}"
        status = "degraded" if problem or self._trust.problem else "ok" if self._prepared else "starting"
        if self.installation.problem:
            status = "unavailable"
        facts = {"status": status, **self.installation.health(), "processes": self._pool.counts}
        if problem or self._trust.problem:
            facts["problem"] = problem or self._trust.problem
        if self._pool.crashes:
            facts["crashes"] = self._pool.crashes
        if self._last_failure:
            facts["last_failure"] = self._last_failure
        return facts

    async def answer(self, request: Request, model: str) -> Events:
        """Answer in the process where the request goes on best, a used one or one that is fresh.

        A parameter that the model refuses is left out, where the answer means the same without it.
        """
        check(request)
        await self._trust.check(request)
        began = False
        for tries in range(refusals.TRIES + 1):
            tuning = self._tune(request, model)
            try:
                async with aclosing(self._persist(request, model)) as events:
                    async for event in events:
                        began = True
                        yield event
                break
            except UpstreamRefused as error:
                name = self._full_name(model)
                learned = self._refusals.learn(name, error, tuning.sent, request.tools)
                if began or tries == refusals.TRIES or not learned:
                    raise refusals.explained(error) from error
                logger.warning("asking again without what %s refuses: %s", name, error.message)

    async def _persist(self, request: Request, model: str) -> Events:
        """Try again after a short upstream fault, or when a process died, as long as nothing was said."""
        began = False
        for attempt in range(self.settings.retries + 1):
            try:
                async with aclosing(self._attempt(request, model)) as events:
                    async for event in events:
                        began = True
                        yield event
                break
            except (UpstreamFailed, Overloaded) as error:
                self._last_failure = f"{type(error).__name__}: {error.message}"
                if began or attempt == self.settings.retries:
                    raise
                logger.warning("trying again after: %s", error.message)
                await asyncio.sleep(_BACKOFF[min(attempt, len(_BACKOFF) - 1)])

    # --- one attempt

    async def _attempt(self, request: Request, model: str) -> Events:
        kind = Kind(model, request.agent)
        movable = request.agent is None and await self._trust.rewinds()
        wanted = Wanted(
            kind, fingerprint.root(request, kind), request.client, request.messages, movable=movable
        )
        conversation, events = await self._opening.open(request, wanted)
        async with aclosing(self._converse(conversation, events, request.client)) as converse:
            async for event in converse:
                yield event

    def _tune(self, request: Request, model: str) -> Tuning:
        refused = self._refusals.of(self._full_name(model), request.tools)
        return tune(request, self.describe(model), self.installation.abilities(model), refused)

    def _full_name(self, model: str) -> str:
        return self.describe(model).name.removesuffix("[1m]")

    async def _converse(self, conversation: Conversation, events: Events, owner: Client) -> Events:
        """Yield the events; keep the conversation after its last, without what failed or broke off."""
        fresh = conversation.wear.uses == 0
        folding = Folding()
        first, parked = True, False
        try:
            async with aclosing(events):
                async for event in events:
                    folding.add(event)
                    if folding.ended and conversation.reusable:
                        parked = True
                        conversation.answered(Message("assistant", list(folding.reply.parts)))
                        becoming = None if conversation.settled else conversation.settle()
                        self._pool.park(conversation, owner, becoming)
                    yield event
                    if first and fresh:
                        self._pool.refill(conversation.process.kind)
                    first = False
        finally:
            if not parked:
                self._recover(conversation, owner)

    def _recover(self, conversation: Conversation, owner: Client) -> None:
        """Keep a conversation as it was before its newest question, where that is safe; or end it."""
        if conversation.recoverable:
            self._pool.park(conversation, owner, conversation.recover())
        else:
            self._pool.discard(conversation.process)

    # --- the installation

    async def _launch(self, kind: Kind, on_exit: Callable[[CliProcess], None]) -> CliProcess:
        if self.installation.problem:
            raise BackendUnavailable(self.installation.problem)

        command = find_command(self.settings.command)

        def ended(process: CliProcess) -> None:
            self._watchdog.remove(process.pid)
            on_exit(process)

        process = await CliProcess.spawn(
            arguments(command, kind),
            environment(os.environ, self.settings.env, kind.agent),
            working_directory(kind),
            kind,
            ended,
            self._watchdog.descriptor,
        )
        if process.alive:
            self._watchdog.add(process.pid)
        return process

    def _rehearsal(self, kind: Kind) -> Rehearsal:
        version = tuple(map(int, self.installation.version.split(".")))
        return rehearsal(version, environment(os.environ, self.settings.env, kind.agent), kind.agent)

    async def _prepare(self) -> None:
        """Find the CLI, check its version, warm the pool, and ask one process what it knows."""
        try:
            command = find_command(self.settings.command)
            self.installation.command = " ".join(command)
            self.installation.version = check_version(
                (await run_once(command, "--version", env=self.settings.env, timeout=_VERSION_TIMEOUT)).output
            )
            self._trust.begin(self.installation.version, command, self._tasks)
            self._pool.start()
            await asyncio.to_thread(
                check_tools, [_ANY_TOOL]
            )  # loads the validator before anybody waits for it
            if self.installation.logged_in is None:  # nobody has asked anything yet
                await self._introduce((self.settings.warm_models or ["sonnet"])[0])
        except ProxyError as error:
            self.installation.problem = error.message
            logger.warning("%s", error.message)
        finally:
            self._trust.begin("", [], self._tasks)
            self._prepared = True

    async def _introduce(self, model: str) -> None:
        """Ask a process of its own what the CLI offers and who is logged in; nothing goes upstream."""
        try:
            process = await self._pool.spare(Kind(model))
        except ProxyError as error:
            self._last_failure = error.message
            return
        if process is None:  # whoever asks learns the same
            return
        conversation = Conversation(process, self.settings, self.installation.learn_usages)
        try:
            self.installation.learn_models(await conversation.bind(Request(model)))
        except ProxyError as error:
            self._last_failure = error.message
            logger.warning("the Claude Code CLI did not introduce itself: %s", error.message)
        finally:
            self._pool.discard(process)
