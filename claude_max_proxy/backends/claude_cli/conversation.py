"""One process and the conversation in it: binds it, takes it back, appends to it, and asks in it."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any

import msgspec

from claude_max_proxy import Events, Message, ProxyError, Request, formats
from claude_max_proxy.anthropic_messages import ToolNames, is_blank
from claude_max_proxy.backends.claude_cli import protocol
from claude_max_proxy.backends.claude_cli.accepted_schema import accepted
from claude_max_proxy.backends.claude_cli.channel import Channel, Hear, Learn
from claude_max_proxy.backends.claude_cli.command import MCP_SERVERS
from claude_max_proxy.backends.claude_cli.fence import HOOKS, Fence
from claude_max_proxy.backends.claude_cli.fingerprint import Bound
from claude_max_proxy.backends.claude_cli.process import CliProcess
from claude_max_proxy.backends.claude_cli.protocol import Initialized
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings
from claude_max_proxy.backends.claude_cli.tools import STRUCTURED_OUTPUT, listed, names_of
from claude_max_proxy.backends.claude_cli.transcript import Entry, Plan, entry
from claude_max_proxy.backends.claude_cli.translation import beginning, history_lines, user_line
from claude_max_proxy.backends.claude_cli.tuning import Tuning
from claude_max_proxy.backends.claude_cli.turn import Turn
from claude_max_proxy.backends.claude_cli.turn_reader import TurnReader
from claude_max_proxy.backends.claude_cli.wear import Wear


logger = logging.getLogger(__name__)

_SETTLE_TIMEOUT = 10.0
_ESSENTIAL_ONLY = "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"  # with it, the CLI does not ask about the plan


class Conversation:
    """Speaks with one process.

    - ``root``: the digest of what binds the process, such as its instructions; ``bound`` has its parts.
    - ``entries``: the process's transcript, message by message.
    - ``reusable``: the newest answer is in the transcript as the client knows it.
    - ``settled``: the newest turn is over, also for the CLI.
    - ``pending``: maps the ids of the tool calls that wait for results, as the client knows them, to the
      upstream's ids.
    - ``movable``: the transcript can be taken back.
    """

    def __init__(
        self,
        process: CliProcess,
        settings: ClaudeCliSettings,
        learn: Learn,
        root: bytes = b"",
        *,
        movable: bool = False,
        bound: Bound = Bound(),  # noqa: B008  # it never changes
    ) -> None:
        """Take a process that nobody has spoken to; ``learn`` is called with what it says about models."""
        self.process = process
        self.root = root
        self.movable = movable
        self.bound = bound
        self.entries: list[Entry] = []
        self.wear = Wear(process.pid)
        self.reusable = False
        self.settled = False
        self.pending: dict[str, str] = {}
        self._channel = Channel(process, settings.start_timeout, learn)
        self._settings = settings
        self._tuning = Tuning()
        self._began_with = Tuning()
        self._names = ToolNames()
        self._known: set[str] = set()
        self._needed: dict[str, str] = {}
        self._servers = 0
        self._asked: int | None = None
        self._ending = False

    def report_limits(self, hear: Hear) -> None:
        """Call ``hear`` with whatever the CLI says about the plan's usage limit from now on."""
        self._channel.hear = hear

    async def bind(self, request: Request) -> Initialized:
        """Tell the process its instructions, its answer schema and the first tools. Once per process.

        Returns what the CLI says about its models and its login.
        """
        await self._channel.rehearsed()
        self._serve(request)
        system = [] if is_blank(request.system) else [request.system]
        # An agent keeps the CLI's own instructions; the client's come after them.
        field = "appendSystemPrompt" if request.agent else "systemPrompt"
        fields: dict[str, Any] = {field: request.system if request.agent else system}
        if request.tools:
            fields["sdkMcpServers"] = [MCP_SERVERS[0]]
            self._known = set(self._names.client)
        if request.response_schema is not None:
            fields["jsonSchema"] = accepted(request.response_schema)
        if self.movable:
            fields["hooks"] = HOOKS
        response = await self._channel.control("initialize", **fields)
        if self.movable:
            await self.process.send(beginning())
        return protocol.decode_initialized(response.response)

    async def plan_usage(self) -> protocol.PlanUsage:
        """Return what the provider says about the plan, which the CLI asks it for.

        The process must not be used for anything else afterwards: it may now send what is not essential.
        """
        await self._channel.control("apply_flag_settings", settings={"env": {_ESSENTIAL_ONLY: ""}})
        response = await self._channel.control("get_usage", skip_behaviors=True)
        return protocol.decode_usage(response.response)

    async def follow(self, plan: Plan, request: Request, model: str) -> Message:
        """Bring the transcript to where the request goes on, and return the message that is to be asked.

        What is not part of the request is taken back, and what is missing is appended. The message that is
        returned is the request's last one. ``model`` is the full name of the process's model.
        """
        self._asked = None
        if plan.lines:
            await self._take_back(self._cut(plan.keep))
        self._serve(request)
        if not self._known.issuperset(self._names.client):
            await self._add_tools()
        messages = formats.tool_ids.distinct(request.messages, formats.tool_ids.plain)
        await self.replay(messages[plan.start : -1], model)
        return messages[-1]

    async def replay(self, messages: Sequence[Message], model: str) -> None:
        """Append messages to the transcript without asking the model, whose full name is ``model``.

        The CLI queues user messages, so each of them is waited for.
        """
        for message in messages:
            name = str(uuid.uuid4())
            line = history_lines(message, self._names, model, name)
            if line is None:
                continue
            await self.process.send(line)
            if message.role == "user":
                await self._channel.appended()
            self._append(message, name if message.role == "user" else "")

    def ask(self, message: Message, turn: Turn, tuning: Tuning, limit: int | None = None) -> Events:
        """Return the events of the answer to ``message``, which is sent when the first event is awaited.

        ``limit`` is the largest number of tokens that the model can answer with, if that is known.
        """
        return self._events(partial(self._ask, message, tuning), turn, tuning.max_tokens or limit)

    async def _ask(self, message: Message, tuning: Tuning) -> None:
        settings = self._tune(tuning)
        self._began_with = tuning
        self.wear.use()
        self._asked = len(self.entries)
        self._ending = False
        self._channel.over = False
        name = str(uuid.uuid4())
        self._append(message, name)
        await self.process.send(settings + user_line(message, self._names, ask=True, name=name))
        self._begin()

    async def waits_for_results(self, request: Request, tuning: Tuning) -> bool:
        """Return whether the CLI waits for the result of every open call, and can go on as the request asks.

        It cannot if the request has new tools, or settings that the CLI only accepts between turns.
        """
        if not (tuning.may_follow(self._began_with) and self._known.issuperset(names_of(request).client)):
            return False

        try:
            return await self._channel.called(set(self.pending.values()))
        except ProxyError:
            return False

    def resume(
        self, plan: Plan, request: Request, turn: Turn, tuning: Tuning, limit: int | None = None
    ) -> Events:
        """Return the events of what follows the results that the open calls wait for.

        ``plan.results`` are the results by the upstream's ids of the calls; they are sent when the first
        event is awaited. ``limit`` is as in :meth:`ask`.
        """
        self._serve(request)
        return self._events(partial(self._resume, plan, request, tuning), turn, tuning.max_tokens or limit)

    async def _resume(self, plan: Plan, request: Request, tuning: Tuning) -> None:
        results = plan.results or {}
        settings = self._tune(tuning, self._began_with)
        self.pending, self._channel.over, self._ending = {}, False, False
        for message in request.messages[plan.start :]:
            self._append(message)
        answers = [self._channel.returned(tool_use_id, result) for tool_use_id, result in results.items()]
        await self.process.send(settings + b"".join(answers))
        self._begin()

    def answered(self, message: Message) -> None:
        """Append the answer, as the client received it, to our record of the transcript."""
        self._append(message)

    async def settle(self) -> bool:
        """Wait, after an ordinary answer, until the CLI is ready for the next one; return whether it is."""
        try:
            async for line in self._channel.read(_SETTLE_TIMEOUT, "waiting for the end of the turn"):
                if line.type == "result":
                    self._channel.learn(line.model_usage)
                    return not line.is_error
        except ProxyError:
            pass
        return False

    @property
    def recoverable(self) -> bool:
        """Whether the newest question may be taken back."""
        return self._asked is not None and self.movable and self.process.alive and not self.process.killed

    def recover(self) -> Coroutine[Any, Any, bool]:
        """Take back the newest question and all that came after it, however far the CLI is with its answer.

        ``entries`` changes at once. The coroutine that this returns does the work, and returns whether it
        succeeded.
        """
        assert self._asked is not None
        return self._recover(self._cut(self._asked))

    # --- what it does

    def _append(self, message: Message, name: str = "") -> None:
        before = self.entries[-1].digest if self.entries else self.root
        self.entries.append(entry(before, message, name))

    def _serve(self, request: Request) -> None:
        """Make the request's tools the ones that the CLI is told when it asks, and that it must have."""
        self._names = names_of(request)
        self._channel.tools = listed(request, self._names)
        self._needed = dict(self._names.client)
        if request.response_schema is not None:
            self._needed[STRUCTURED_OUTPUT] = STRUCTURED_OUTPUT

    async def _add_tools(self) -> None:
        """Make the CLI ask for this request's tools, which it only does for a server that is new to it."""
        self._servers += 1
        server = MCP_SERVERS[self._servers % len(MCP_SERVERS)]
        self._channel.listed = False
        await self._channel.control("mcp_set_servers", servers={server: {"type": "sdk", "name": server}})
        await self._channel.lists()
        self._known = set(self._names.client)

    def _cut(self, keep: int) -> list[str]:
        """Drop all entries but the first ``keep``; return the lines to take back for that, newest first."""
        lines = [entry.line for entry in reversed(self.entries[keep:]) if entry.line]
        del self.entries[keep:]
        self.pending = {}
        return lines

    async def _take_back(self, lines: Sequence[str]) -> None:
        """Take back the ``lines``. Raises a ``ProxyError`` if that did not work."""
        await self._channel.rewind(lines)
        self.settled = True

    async def _recover(self, lines: Sequence[str]) -> bool:
        try:
            async with asyncio.timeout(_SETTLE_TIMEOUT):
                if self._ending and not self._channel.over:
                    await self.settle()  # a CLI that was interrupted at the end of a turn was seen to crash
                await self._take_back(lines)
        except (ProxyError, TimeoutError) as error:
            logger.info("a used process is not used again: %s", getattr(error, "logged", error))
            return False
        return True

    def _events(self, ask: Callable[[], Awaitable[None]], turn: Turn, limit: int | None) -> Events:
        reader = TurnReader(self._channel, turn, self._needed, self._settings)
        self.process.overrun.meant = turn.goes_on
        if self.movable:
            reader.guard(Fence(limit, closes=not turn.goes_on))
        return reader.events(ask, partial(self._finish, turn))

    def _begin(self) -> None:
        """Note that an answer is on its way."""
        self.reusable = self.settled = False
        self.process.fenced = False

    def _finish(self, turn: Turn) -> None:
        """Record how the turn ended; this comes before the client learns of the end and can ask again."""
        self._ending = True
        self.settled = self._channel.over
        self.reusable = turn.reason in {"stop", "tool_calls"} and not (turn.stray or turn.silent)
        if turn.ids:
            self.pending, self.settled = dict(turn.ids), True

    def _tune(self, tuning: Tuning, before: Tuning | None = None) -> bytes:
        """Return the line that changes the settings, or nothing if they stay the same.

        The CLI applies it before it reads the lines after it.
        """
        # Without this, a request without tools would be sent with those of the request before.
        if self.movable and self._known and "tools" not in tuning.body:
            tuning = msgspec.structs.replace(tuning, body={**tuning.body, "tools": []})
        if tuning == self._tuning and not self._channel.fenced:
            return b""

        self._tuning, self._channel.fenced = tuning, False
        _, line = protocol.control_request("apply_flag_settings", settings=tuning.settings(before))
        return line
