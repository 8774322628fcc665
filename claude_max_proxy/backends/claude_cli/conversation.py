"""One process and the conversation in it: bound, taken back, appended to, asked, and asked again."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Coroutine, Sequence
from typing import Any

import msgspec

from claude_max_proxy import Events, Finished, Message, ProxyError, Request, distinct_ids
from claude_max_proxy.backends.claude_cli import protocol
from claude_max_proxy.backends.claude_cli.accepted_schema import accepted
from claude_max_proxy.backends.claude_cli.answering import Answer
from claude_max_proxy.backends.claude_cli.channel import Channel, Learn
from claude_max_proxy.backends.claude_cli.command import MCP_SERVERS
from claude_max_proxy.backends.claude_cli.fence import HOOKS, Fence
from claude_max_proxy.backends.claude_cli.fingerprint import normal_id
from claude_max_proxy.backends.claude_cli.process import CliProcess
from claude_max_proxy.backends.claude_cli.protocol import Initialized
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings
from claude_max_proxy.backends.claude_cli.tools import STRUCTURED_OUTPUT, listed, names_of
from claude_max_proxy.backends.claude_cli.transcript import Entry, Plan, entry
from claude_max_proxy.backends.claude_cli.translation import beginning, history_lines, user_line
from claude_max_proxy.backends.claude_cli.tuning import Tuning
from claude_max_proxy.backends.claude_cli.turn import Turn
from claude_max_proxy.backends.claude_cli.wear import Wear
from claude_max_proxy.messages_api import ToolNames, is_blank


logger = logging.getLogger(__name__)

_SETTLE_TIMEOUT = 10.0


class Conversation:
    """Speaks with one process, whose transcript is ``entries``, on top of what binds it, ``root``.

    ``reusable`` says that its newest answer is what the client knows, and ``settled`` that its turn is over,
    also for the CLI. ``pending`` maps the tool calls that wait for results, by the ids that the client knows,
    to the upstream's. Only a ``movable`` one can be taken back. What is said of models goes to ``learn``.
    """

    def __init__(
        self,
        process: CliProcess,
        settings: ClaudeCliSettings,
        learn: Learn,
        root: bytes = b"",
        *,
        movable: bool = False,
    ) -> None:
        """Take a process that nobody has spoken to."""
        self.process = process
        self.root = root
        self.movable = movable
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

    async def bind(self, request: Request) -> Initialized:
        """Tell the process who it is: instructions, schema, the first tools. Once per process."""
        await self._channel.rehearsed()
        self._serve(request)
        system = [] if is_blank(request.system) else [request.system]
        # An agent keeps the CLI's own instructions, and the client's come after them.
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

    async def follow(self, plan: Plan, request: Request, model: str) -> Message:
        """Go to where the request goes on, append what is missing, and return its last message, to be asked.

        ``model`` is the full name of the process's.
        """
        self._asked = None
        if plan.lines:
            await self._take_back(self._cut(plan.keep))
        self._serve(request)
        if not self._known.issuperset(self._names.client):
            await self._add_tools()
        messages = distinct_ids(request.messages, normal_id)
        await self.replay(messages[plan.start : -1], model)
        return messages[-1]

    async def replay(self, messages: Sequence[Message], model: str) -> None:
        """Append history without asking ``model``. The CLI queues user lines, so each is waited for."""
        for message in messages:
            name = str(uuid.uuid4())
            line = history_lines(message, self._names, model, name)
            if line is None:
                continue
            await self.process.send(line)
            if message.role == "user":
                await self._channel.appended()
            self._append(message, name if message.role == "user" else "")

    async def ask(self, message: Message, turn: Turn, tuning: Tuning, limit: int | None = None) -> Events:
        """Ask, and return the answer's events; the model can answer with ``limit`` tokens at most."""
        settings = self._tune(tuning)
        self._began_with = tuning
        self.wear.use()
        self._asked = len(self.entries)
        self._ending = False
        self._channel.over = False
        name = str(uuid.uuid4())
        self._append(message, name)
        await self.process.send(settings + user_line(message, self._names, ask=True, name=name))
        async for event in self._answer(turn, tuning.max_tokens or limit):
            yield event

    async def waits_for_results(self, request: Request, tuning: Tuning) -> bool:
        """Tell whether every open call can be answered, and the turn can go on as it is asked now.

        In the middle of a turn the CLI learns of no further tools.
        """
        if not (tuning.may_follow(self._began_with) and self._known.issuperset(names_of(request).client)):
            return False

        try:
            return await self._channel.called(set(self.pending.values()))
        except ProxyError:
            return False

    async def resume(
        self, plan: Plan, request: Request, turn: Turn, tuning: Tuning, limit: int | None = None
    ) -> Events:
        """Hand over the results that the open calls wait for, by the upstream's ids, and go on."""
        results = plan.results or {}
        self._serve(request)
        settings = self._tune(tuning, self._began_with)
        self.pending, self._channel.over, self._ending = {}, False, False
        for message in request.messages[plan.start :]:
            self._append(message)
        answers = [self._channel.returned(tool_use_id, result) for tool_use_id, result in results.items()]
        await self.process.send(settings + b"".join(answers))
        async for event in self._answer(turn, tuning.max_tokens or limit):
            yield event

    def answered(self, message: Message) -> None:
        """Take the answer, as the client heard it, into the transcript."""
        self._append(message)

    async def settle(self) -> bool:
        """After an ordinary answer, wait until the CLI is ready for the next; say whether it is."""
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
        """Take back the newest question with all that came of it, wherever the CLI is with it.

        The transcript is at once what it will be; what this returns says later whether that came true.
        """
        assert self._asked is not None
        return self._recover(self._cut(self._asked))

    # --- what it does

    def _append(self, message: Message, name: str = "") -> None:
        before = self.entries[-1].digest if self.entries else self.root
        self.entries.append(entry(before, message, name))

    def _serve(self, request: Request) -> None:
        """Take the request's tools as those that the CLI may be told of, and that it needs."""
        self._names = names_of(request)
        self._channel.tools = listed(request, self._names)
        self._needed = dict(self._names.client)
        if request.response_schema is not None:
            self._needed[STRUCTURED_OUTPUT] = STRUCTURED_OUTPUT

    async def _add_tools(self) -> None:
        """Let the CLI ask for this request's tools, as it does only of a server that it does not know."""
        self._servers += 1
        server = MCP_SERVERS[self._servers % len(MCP_SERVERS)]
        self._channel.listed = False
        await self._channel.control("mcp_set_servers", servers={server: {"type": "sdk", "name": server}})
        await self._channel.lists()
        self._known = set(self._names.client)

    def _cut(self, keep: int) -> list[str]:
        """Leave the first ``keep`` entries, and return the lines to take back for that, the newest first."""
        lines = [entry.line for entry in reversed(self.entries[keep:]) if entry.line]
        del self.entries[keep:]
        self.pending = {}
        return lines

    async def _take_back(self, lines: Sequence[str]) -> None:
        """Take back the ``lines``; raise if that did not work."""
        await self._channel.rewind(lines)
        self.settled = True

    async def _recover(self, lines: Sequence[str]) -> bool:
        try:
            async with asyncio.timeout(_SETTLE_TIMEOUT):
                if self._ending and not self._channel.over:
                    await self.settle()  # interrupted at its end, a CLI was seen to crash
                await self._take_back(lines)
        except (ProxyError, TimeoutError) as error:
            logger.info("a used process is not used again: %s", error)
            return False
        return True

    async def _answer(self, turn: Turn, limit: int | None) -> Events:
        self.reusable = self.settled = False
        self.process.fenced = False
        answer = Answer(self._channel, turn, self._needed, self._settings)
        if self.movable:
            answer.guard(Fence(limit, closes=not turn.goes_on))
        async for event in answer.events():
            if isinstance(event, Finished):
                self._finish(turn)
            yield event

    def _finish(self, turn: Turn) -> None:
        """Note what is known before whoever hears of the end asks for more."""
        self._ending = True
        self.settled = self._channel.over
        self.reusable = turn.reason in {"stop", "tool_calls"} and not (turn.stray or turn.silent)
        if turn.ids:
            self.pending, self.settled = dict(turn.ids), True

    def _tune(self, tuning: Tuning, before: Tuning | None = None) -> bytes:
        """Write the change of settings, nothing if there is none. The CLI takes it before what follows."""
        if self.movable and self._known and "tools" not in tuning.body:  # those of a request before
            tuning = msgspec.structs.replace(tuning, body={**tuning.body, "tools": []})
        if tuning == self._tuning and not self._channel.fenced:
            return b""

        self._tuning, self._channel.fenced = tuning, False
        _, line = protocol.control_request("apply_flag_settings", settings=tuning.settings(before))
        return line
