"""The Claude CLI backend: finds or makes the right conversation for a request, and answers from it."""

from __future__ import annotations

import asyncio
import logging
import os
import time
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
    distinct_ids,
    refusals,
)
from claude_max_proxy.backends.claude_cli import fingerprint
from claude_max_proxy.backends.claude_cli.command import (
    arguments,
    environment,
    find_command,
    working_directory,
)
from claude_max_proxy.backends.claude_cli.continuation import (
    is_plain,
    results_for,
    split,
)
from claude_max_proxy.backends.claude_cli.conversation import Conversation
from claude_max_proxy.backends.claude_cli.installation import Installation, check_version
from claude_max_proxy.backends.claude_cli.kind import Kind
from claude_max_proxy.backends.claude_cli.once import run_once
from claude_max_proxy.backends.claude_cli.pool import Pool
from claude_max_proxy.backends.claude_cli.probe import Trust
from claude_max_proxy.backends.claude_cli.process import CliProcess
from claude_max_proxy.backends.claude_cli.rehearsal import Rehearsal, rehearsal
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings
from claude_max_proxy.backends.claude_cli.tuning import Tuning, tune
from claude_max_proxy.backends.claude_cli.turn import Turn
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
        self._pool = Pool(settings, self._launch, self._rehearsal)
        self._tasks = Tasks()
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
        if not problem and self._prepared and self.installation.logged_in is None:
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
        """Answer in place where the conversation is parked, else by a replay into a warm process.

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
        root = fingerprint.root(request, kind)
        history, new = split(request.messages)
        digest = fingerprint.extend(root, history)
        conversation = await self._pool.take(digest, request.client) if history else None
        events = None
        if conversation is not None:
            events = await self._continue(conversation, request, new)
        if conversation is None or events is None:
            conversation, events = await self._replay(request, kind)
        digest = fingerprint.extend(digest, new)
        async with aclosing(self._converse(conversation, events, digest, request.client)) as converse:
            async for event in converse:
                yield event

    async def _continue(
        self, conversation: Conversation, request: Request, new: list[Message]
    ) -> Events | None:
        """Go on in place, or end the process and give ``None`` when ``new`` is not what it waits for."""
        model = conversation.process.kind.model
        turn = Turn(request, live=True, queued=0.0)
        try:
            tuning = self._tune(request, model)
            results = results_for(conversation.pending, new)
            if results is not None and await conversation.waits_for_results(tuning):
                return conversation.resume(results, turn, tuning)
            if is_plain(new) and not conversation.pending:
                await conversation.replay(new[:-1], self._full_name(model))
                return conversation.ask(new[-1], turn, tuning)
        except ProxyError:  # it died while it was parked
            pass
        except BaseException:
            self._pool.discard(conversation.process)
            raise
        self._pool.discard(conversation.process)
        return None

    async def _replay(self, request: Request, kind: Kind) -> tuple[Conversation, Events]:
        """Lease a process and bring it to where the request is."""
        messages = distinct_ids(request.messages, fingerprint.normal_id)
        began = time.monotonic()
        process = await self._pool.lease(kind, request.client.key or request.client.address)
        queued = time.monotonic() - began
        conversation = Conversation(process, self.settings, self.installation.learn_usages)
        try:
            self.installation.learn_models(await conversation.bind(request))
            await conversation.replay(messages[:-1], self._full_name(kind.model))
            tuning = self._tune(request, kind.model)
        except BaseException:
            self._pool.discard(process)
            raise
        turn = Turn(request, live=False, queued=queued)
        return conversation, conversation.ask(messages[-1], turn, tuning)

    def _tune(self, request: Request, model: str) -> Tuning:
        refused = self._refusals.of(self._full_name(model), request.tools)
        return tune(request, self.describe(model), self.installation.abilities(model), refused)

    def _full_name(self, model: str) -> str:
        return self.describe(model).name.removesuffix("[1m]")

    async def _converse(
        self, conversation: Conversation, events: Events, digest: bytes, owner: Client
    ) -> Events:
        """Yield the events; park the conversation after its last, or end its process on any other way out."""
        folding = Folding()
        first, parked = True, False
        try:
            async with aclosing(events):
                async for event in events:
                    folding.add(event)
                    if folding.ended:
                        parked = self._park(conversation, folding, digest, owner)
                    yield event
                    if first:
                        first = False
                        self._pool.refill(conversation.process.kind)
        finally:
            if not parked:
                self._pool.discard(conversation.process)

    def _park(self, conversation: Conversation, folding: Folding, digest: bytes, owner: Client) -> bool:
        if not conversation.reusable:
            return False

        answer = Message("assistant", list(folding.reply.parts))
        digest = fingerprint.extend(digest, [answer])
        self._pool.park(conversation, digest, owner, not conversation.settled)
        return True

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
            process = await self._pool.lease(Kind(model), "")
        except ProxyError as error:
            self._last_failure = error.message
            return
        conversation = Conversation(process, self.settings, self.installation.learn_usages)
        try:
            self.installation.learn_models(await conversation.bind(Request(model)))
        except ProxyError as error:
            self._last_failure = error.message
            logger.warning("the Claude Code CLI did not introduce itself: %s", error.message)
        finally:
            self._pool.discard(process)
