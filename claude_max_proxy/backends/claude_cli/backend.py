"""The Claude CLI backend: finds or starts the right conversation for a request, and answers from it."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Collection, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

from claude_max_proxy import (
    Backend,
    Client,
    Events,
    Folding,
    Message,
    PlanWindow,
    ProcessFacts,
    ProxyError,
    Request,
    Tasks,
    Tool,
    aside,
    is_large,
)
from claude_max_proxy.anthropic_messages import check_tools
from claude_max_proxy.backend import ModelInfo
from claude_max_proxy.backends.claude_cli import fingerprint
from claude_max_proxy.backends.claude_cli.choice import Wanted
from claude_max_proxy.backends.claude_cli.command import (
    arguments,
    environment,
    with_temporary,
    working_directory,
)
from claude_max_proxy.backends.claude_cli.conversation import Conversation
from claude_max_proxy.backends.claude_cli.installation import Installation
from claude_max_proxy.backends.claude_cli.lookout import Lookout
from claude_max_proxy.backends.claude_cli.opening import Opening
from claude_max_proxy.backends.claude_cli.plan_watch import PlanWatch
from claude_max_proxy.backends.claude_cli.pool import Pool
from claude_max_proxy.backends.claude_cli.probe import Trust
from claude_max_proxy.backends.claude_cli.process import CliProcess
from claude_max_proxy.backends.claude_cli.process_kind import ProcessKind
from claude_max_proxy.backends.claude_cli.rehearsal import Rehearsal, rehearsal
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings
from claude_max_proxy.backends.claude_cli.tries import Tries
from claude_max_proxy.backends.claude_cli.tuning import Tuning, tune
from claude_max_proxy.backends.claude_cli.used_models import UsedModels
from claude_max_proxy.backends.claude_cli.validation import check
from claude_max_proxy.backends.claude_cli.watchdog import Watchdog
from claude_max_proxy.capabilities import refusals
from claude_max_proxy.errors import (
    BackendUnavailable,
    NotLoggedIn,
    Overloaded,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamTimeout,
)


logger = logging.getLogger(__name__)

# These errors mean that the CLI does not work; any other may only mean that the provider is busy.
_TROUBLE = BackendUnavailable | NotLoggedIn | UpstreamFailed | UpstreamTimeout
_ANY_TOOL = Tool("any", parameters={"type": "object"})


class ClaudeCli(Backend):
    """One ``[backends.<name>]`` of type ``claude-cli``."""

    honours = frozenset({"agent", "anthropic_thinking", "top_k"})

    def __init__(self, name: str, settings: ClaudeCliSettings) -> None:
        """Prepare the backend; :meth:`start` starts it.

        Raises :class:`ConfigError` for a file or a variable that ``env`` names and that is not there.
        """
        settings = settings.found(name)
        self.name = name
        self.retries = settings.retries
        self.installation = Installation()
        self.settings = settings
        self._pool = Pool(settings, self._launch, self._rehearsal, UsedModels(name))
        self._tasks = Tasks()
        self._plan = PlanWatch(settings, self._pool, self.installation, self._tasks)
        self._opening = Opening(
            settings, self._pool, self._tasks, self.installation, self._tune, self._plan.hear
        )
        self._lookout = Lookout(settings, self.installation, self._found, self._ask_login)
        self._watchdog = Watchdog()
        self._refusals = refusals.Refusals()
        self._trust = Trust(settings)
        self._last_failure = ""
        self._not_started = ""
        self._failing = ""
        self._expected = True
        self._begun = self._prepared = self._warms = False

    def take_over(self, before: Backend) -> None:
        """Share the plan and the bounds on processes with the previous backend, if it is of this type."""
        if isinstance(before, ClaudeCli):
            self._pool.take_over(before._pool)  # noqa: SLF001  # of the same class
            self._plan.take_over(before._plan)  # noqa: SLF001  # the same

    def expect(self, models: Collection[str]) -> None:
        """Start nothing in advance as long as no line of ``[models]`` leads to this backend."""
        self._expected = bool(models)
        if self._begun and self._expected:
            self._prepare()

    async def start(self) -> None:
        """Look for the CLI and warm the pool, in the background."""
        self._begun = True
        self._pool.places.join(self._pool)
        if self._expected:
            self._prepare()

    async def stop(self) -> None:
        """End every process."""
        await self._tasks.close()
        await self._lookout.close()
        await self._pool.stop()
        await self._watchdog.stop()

    def describe(self, model: str) -> ModelInfo:
        """Return what the CLI has said about ``model``."""
        return self.installation.describe(model)

    def health(self) -> dict[str, Any]:
        """Return the state of the CLI and of its processes, for ``/health``."""
        problem = self.installation.problem or self._not_started or self._trouble or self._trust.problem
        status = "degraded" if problem else "ok" if self._lookout.looked or not self._prepared else "starting"
        if self.installation.problem:
            status = "unavailable"
        facts = {"status": status, **self.installation.health(), "processes": self._pool.counts}
        if problem:
            facts["problem"] = problem
        if self._pool.crashes:
            facts["crashes"] = self._pool.crashes
        if self._last_failure:
            facts["last_failure"] = self._last_failure
        if problems := {**self._pool.task_problems, **self._tasks.problems}:
            facts["task_problems"] = problems
        return facts

    def windows(self) -> Sequence[PlanWindow]:
        """Return what the CLI has said of the plan's windows, with their pace."""
        return self._plan.current()

    def hear_windows(self, windows: Sequence[PlanWindow]) -> None:
        """Take note of what another replica has heard of the plan."""
        self._plan.hear_of(windows)

    async def look_at_plan(self) -> None:
        """Let the CLI ask how far the plan is used, if nothing was heard of that for a while."""
        await self._plan.look()

    def processes(self) -> Sequence[ProcessFacts]:
        """Return what can be told of each process, oldest first."""
        return self._pool.facts

    @property
    def _trouble(self) -> str:
        """What was wrong with the newest answer or with the login; empty once something has worked since."""
        if self.installation.logged_in is False:
            return self.installation.advised("Not logged in")
        return f"it does not work: {self._failing}" if self._failing else ""

    async def answer(self, request: Request, model: str) -> Events:
        """Answer in the process that can go on with the least work, a used one or a fresh one.

        If the model refuses a parameter without which the answer would mean the same, the request is sent
        again without it.
        """
        await aside(partial(check, request), large=is_large(request))
        self._prepare()
        await self._lookout.look()
        await self._trust.check(request)
        tries = Tries(self.settings.retries)
        while True:
            tuning = self._tune(request, model)
            try:
                conversation, answer = await self._open(request, model)
                async with aclosing(self._converse(conversation, answer, request.client, tries)) as events:
                    async for event in events:
                        if not tries.began:
                            self._works(tries)
                        yield event
                break
            except _OldLogin:
                continue
            except UpstreamRefused as error:
                self._leave_out(error, tries, request, model, tuning)
            except ProxyError as error:
                self._note(error)
                pause = tries.pause(error)
                logger.warning("trying again after: %s", error.logged)
                await asyncio.sleep(pause)

    def _works(self, tries: Tries) -> None:
        """Note that an answer has begun."""
        tries.began, self._failing = True, ""
        self.installation.works()

    def _leave_out(
        self, error: UpstreamRefused, tries: Tries, request: Request, model: str, tuning: Tuning
    ) -> None:
        """Learn what the model refuses; raise ``error`` if the request cannot be asked without that."""
        name = self._full_name(model)
        learned = self._refusals.learn(name, error, tuning.sent, request.tools)
        if not (learned and tries.may_ask_otherwise):
            raise refusals.explained(error) from error
        refused = refusals.refused_parameter(error.message, error.param)
        logger.warning("asking again without what %s refuses: %s", name, refused)
        tries.ask_otherwise()

    def _note(self, error: ProxyError) -> None:
        """Remember a failure for ``/health``, if it says something about the CLI."""
        if isinstance(error, _TROUBLE | Overloaded):
            self._last_failure = f"{type(error).__name__}: {error.logged}"
        if isinstance(error, _TROUBLE):
            self._failing = error.logged

    # --- one try

    async def _open(self, request: Request, model: str) -> tuple[Conversation, Events]:
        kind = ProcessKind(model, request.agent)
        movable = request.agent is None and await self._trust.rewinds()

        def digest() -> Wanted:
            bound = fingerprint.bound(request, kind)
            root = fingerprint.root_of(bound)
            return Wanted(kind, root, request.client, request.messages, movable=movable, bound=bound)

        wanted = await aside(digest, large=is_large(request))
        return await self._opening.open(request, wanted)

    def _tune(self, request: Request, model: str) -> Tuning:
        known, refused = self.installation, self._refusals.of(self._full_name(model), request.tools)
        return tune(request, self.describe(model), known.abilities(model), refused, has_plan=known.has_plan)

    def _full_name(self, model: str) -> str:
        return self.describe(model).name.removesuffix("[1m]")

    def keep_only(self, owners: Collection[str]) -> None:
        """End the conversations of every owner that is not in ``owners``, such as a revoked key."""
        self._pool.keep_only(owners)

    async def _converse(
        self, conversation: Conversation, events: Events, owner: Client, tries: Tries
    ) -> Events:
        """Yield the events, and keep the conversation for later when the last one has come.

        If the answer fails or is cut short, the conversation is kept as it was before the question, where
        that is safe; otherwise its process is ended. Raises :class:`_OldLogin` if the process has no login,
        but was started before the request.
        """
        fresh = conversation.wear.uses == 0
        folding = Folding()
        first, parked = True, False
        try:
            async with aclosing(events):
                async for event in events:
                    folding.add(event)
                    if folding.ended and conversation.reusable and not conversation.process.is_at_work:
                        parked = True
                        conversation.answered(Message("assistant", list(folding.reply.parts)))
                        becoming = None if conversation.settled else conversation.settle()
                        self._pool.park(conversation, owner, becoming)
                    yield event
                    if first and fresh:
                        self._pool.refill(conversation.process.kind)
                    first = False
        except NotLoggedIn as error:  # a process that was started without a login never gets one
            parked = True
            self._pool.discard(conversation.process)
            self._pool.renew()  # the user may have logged in since it was started
            if conversation.process.born < tries.since:
                raise _OldLogin from error
            raise self.installation.not_logged_in(error) from error
        finally:
            if not parked:
                self._recover(conversation, owner)

    def _recover(self, conversation: Conversation, owner: Client) -> None:
        """Keep a conversation as it was before its newest question where that is safe; otherwise end it."""
        if conversation.recoverable:
            self._pool.park(conversation, owner, conversation.recover())
        else:
            self._pool.discard(conversation.process)

    # --- the installation

    async def _launch(self, kind: ProcessKind, on_exit: Callable[[CliProcess], None]) -> CliProcess:
        command = await self._lookout.command()
        await self._watchdog.start()
        try:
            process = await self._spawn(command, kind, on_exit)
        except BackendUnavailable as error:
            if kind.agent is None:  # for an agent, its directory may be the cause instead of the CLI
                self._not_started = error.logged
            raise
        self._not_started = ""
        return process

    async def _spawn(
        self, command: list[str], kind: ProcessKind, on_exit: Callable[[CliProcess], None]
    ) -> CliProcess:
        def ended(process: CliProcess) -> None:
            self._watchdog.remove(process.pid)
            on_exit(process)

        process = await CliProcess.spawn(
            arguments(command, kind),
            with_temporary(environment(os.environ, self.settings.env, kind.agent)),
            working_directory(kind),
            kind,
            ended,
            self._watchdog.descriptor,
        )
        if process.is_watched:
            self._watchdog.add(process.pid)
        return process

    def _rehearsal(self, kind: ProcessKind) -> Rehearsal:
        version = tuple(map(int, self.installation.version.split(".")))
        return rehearsal(version, environment(os.environ, self.settings.env, kind.agent), kind.agent)

    def _prepare(self) -> None:
        """Begin to look for the CLI in the background, unless that has already begun."""
        if not self._prepared:
            self._prepared = True
            self._tasks.keep(self._lookout.keep_looking, f"{self.name}-look")

    def _found(self, command: list[str]) -> None:
        """Use a CLI that was found or that has replaced another: try it out, and warm the pool with it."""
        self._trust.begin(self.installation.version, command, self._tasks)
        self._pool.renew()
        if not self._warms:
            self._warms = True
            self._pool.start()
            # This loads the validator before a request has to wait for that.
            self._tasks.start(asyncio.to_thread(check_tools, [_ANY_TOOL]), "claude-validator")

    async def _ask_login(self) -> None:
        before = self.installation.logged_in
        await self._introduce((self.settings.warm_models or ["sonnet"])[0])
        if before is False and self.installation.logged_in:
            self._pool.renew()  # the warm processes were started without the login

    async def _introduce(self, model: str) -> None:
        """Start a process to learn which models the CLI offers and who is logged in.

        Nothing is sent to the provider.
        """
        try:
            process = await self._pool.spare(ProcessKind(model))
        except ProxyError as error:
            self._last_failure = error.logged
            return
        if process is None:  # there is no room; the next request learns the same from its own process
            return
        conversation = Conversation(process, self.settings, self.installation.learn_usages)
        try:
            self.installation.learn_models(await conversation.bind(Request(model)))
            self._failing = ""
        except ProxyError as error:
            self._note(error)
            logger.warning("the Claude Code CLI did not introduce itself: %s", error.logged)
        finally:
            self._pool.discard(process)


class _OldLogin(Exception):
    """A process that was started before the request has no login, but one that is started now may have."""
