"""One conversation in one process: bound to a client's request, replayed, asked, and continued in place."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from claude_max_proxy import (
    Event,
    Events,
    Finished,
    Message,
    ProxyError,
    Request,
    ToolResult,
    UpstreamError,
    UpstreamFailed,
)
from claude_max_proxy.backends.claude_cli import protocol
from claude_max_proxy.backends.claude_cli.accepted_schema import accepted
from claude_max_proxy.backends.claude_cli.channel import Channel, Learn
from claude_max_proxy.backends.claude_cli.command import MCP_SERVER
from claude_max_proxy.backends.claude_cli.failures import failure
from claude_max_proxy.backends.claude_cli.process import CliProcess
from claude_max_proxy.backends.claude_cli.protocol import Initialized, Line
from claude_max_proxy.backends.claude_cli.rehearsal import lead_nowhere
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings
from claude_max_proxy.backends.claude_cli.tools import (
    STRUCTURED_OUTPUT,
    listed,
    names_of,
    told_name,
)
from claude_max_proxy.backends.claude_cli.translation import history_lines, user_line
from claude_max_proxy.backends.claude_cli.tuning import Tuning
from claude_max_proxy.backends.claude_cli.turn import Turn
from claude_max_proxy.messages_api import StreamEvent, ToolNames, is_blank


_SETTLE_TIMEOUT = 10.0
# The CLI let the model try a few times, and no answer followed the schema.
_NEVER_RIGHT = "error_max_structured_output_retries"


class Conversation:
    """Speaks with one process. ``reusable`` says whether its transcript is still what the client knows.

    ``settled`` says that its turn is over, also for the CLI; ``pending`` maps the tool calls that wait for
    results, by the ids that the client knows, to the upstream's.
    What the CLI says of models goes to ``learn``.
    """

    def __init__(
        self,
        process: CliProcess,
        settings: ClaudeCliSettings,
        learn: Learn,
    ) -> None:
        """Take a process that nobody has spoken to."""
        self.process = process
        self.reusable = False
        self.settled = False
        self._channel = Channel(process, settings.start_timeout, learn)
        self._settings = settings
        self._tuning = Tuning()
        self._began_with = Tuning()
        self._names = ToolNames()
        self._needed: set[str] = set()
        self.pending: dict[str, str] = {}

    async def bind(self, request: Request) -> Initialized:
        """Tell the process who it is: instructions, tools, schema. Once per process."""
        await self._channel.rehearsed()
        self._names = names_of(request)
        self._channel.tools = listed(request, self._names)
        self._needed = set(self._names.client)
        system = [] if is_blank(request.system) else [request.system]
        # An agent keeps the CLI's own instructions, and the client's come after them.
        field = "appendSystemPrompt" if request.agent else "systemPrompt"
        fields: dict[str, Any] = {field: request.system if request.agent else system}
        if request.tools:
            fields["sdkMcpServers"] = [MCP_SERVER]
        if request.response_schema is not None:
            fields["jsonSchema"] = accepted(request.response_schema)
            self._needed.add(STRUCTURED_OUTPUT)
        response = await self._channel.control("initialize", **fields)
        return protocol.decode_initialized(response.response)

    async def replay(self, messages: Sequence[Message], model: str) -> None:
        """Append history without asking ``model``. The CLI queues user lines, so each is waited for."""
        for message in messages:
            line_ = history_lines(message, self._names, model)
            if line_ is None:
                continue
            await self.process.send(line_)
            if message.role == "user":
                await self._channel.appended()

    async def ask(self, message: Message, turn: Turn, tuning: Tuning) -> Events:
        """Ask, and give the answer's events."""
        settings = self._tune(tuning)
        self._began_with = tuning
        await self.process.send(settings + user_line(message, self._names, ask=True))
        async for event in self._answer(turn):
            yield event

    async def waits_for_results(self, tuning: Tuning) -> bool:
        """Tell whether every parked call can be answered, and the turn can go on as ``tuning`` asks."""
        if not tuning.may_follow(self._began_with):
            return False

        try:
            return await self._channel.called(set(self.pending.values()))
        except ProxyError:
            return False

    async def resume(self, results: dict[str, ToolResult], turn: Turn, tuning: Tuning) -> Events:
        """Hand over the results that the parked calls wait for, by the upstream's ids, and go on."""
        settings = self._tune(tuning, self._began_with)
        self.pending = {}
        answers = [self._channel.returned(tool_use_id, result) for tool_use_id, result in results.items()]
        await self.process.send(settings + b"".join(answers))
        async for event in self._answer(turn):
            yield event

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

    # --- the answer

    async def _answer(self, turn: Turn) -> Events:
        self.reusable = self.settled = False
        limits = (self._settings.first_event_timeout, self._settings.stall_timeout)
        async for line in self._channel.read(limits[0], "waiting for the answer", stall=limits[1]):
            if line.type == "stream_event" and line.event and not line.parent_tool_use_id:
                for event in self._events(line.event, turn):
                    yield event
                if turn.stray and line.event.type == "content_block_start":
                    await self._seal()
                if self._ended(line.event, turn):
                    for event in self._finish(turn):
                        yield event
                    return
            elif line.type == "result":
                self._check(line, turn)
                for event in self._finish(turn):
                    yield event
                return
            elif line.response and line.response.subtype == "error":
                raise UpstreamFailed(f"the Claude Code CLI refused a setting: {line.response.error}")

    def _check_tools(self) -> None:
        """Make sure that the CLI has every tool of this turn: it leaves some out, and says nothing."""
        there = self._channel.there or []
        if missing := [name for name in self._needed if told_name(name) not in there]:
            self.process.kill()
            names = ", ".join(repr(self._names.client.get(name, name)) for name in sorted(missing))
            raise UpstreamError(f"the Claude Code CLI does not take the tools {names}", code="tools_missing")

    def _check(self, result: Line, turn: Turn) -> None:
        """Take a result: of a structured answer or an agent's work it is the end, of any other a failure."""
        self._channel.learn(result.model_usage)
        if result.subtype == _NEVER_RIGHT:
            raise _not_as_asked()
        if result.is_error or not turn.goes_on:
            raise failure(result, self._channel.limit, time.time())
        if turn.structured and (not turn.holds_answer or bytes(result.structured_output) == b"null"):
            raise _not_as_asked()
        self.settled = True

    def _events(self, event: StreamEvent, turn: Turn) -> list[Event]:
        if event.type == "message_start":
            self._check_tools()
        if event.type == "message_start" and turn.answered and not turn.agent:
            # The CLI asks again by itself; what was sent cannot be taken back.
            self.process.kill()
            if turn.structured:
                raise _not_as_asked()
            raise UpstreamFailed("the connection to the provider broke in the middle of the answer")
        return turn.read(event)

    def _ended(self, event: StreamEvent, turn: Turn) -> bool:
        mute = turn.silent and bool(turn.stop_reason) and not turn.goes_on
        over = turn.stop_reason in protocol.FINAL or turn.stray or mute
        if event.type == "message_delta" and over:
            self.process.kill()  # it would answer a stray call or a silence by itself, and ask again
            return True

        # Without a reason the message was cut off: the result that follows says why.
        return event.type == "message_stop" and bool(turn.stop_reason) and not turn.goes_on

    async def _seal(self) -> None:
        """Lead what the CLI asks next nowhere: it would answer a stray call by itself, and ask again.

        Its end comes with the end of the message, and might come too late; after this it cannot.
        """
        await self.process.send(lead_nowhere())

    def _finish(self, turn: Turn) -> list[Event]:
        events = [*turn.close(), *turn.release()]
        self.reusable = turn.reason in {"stop", "tool_calls"} and not (turn.stray or turn.silent)
        if turn.ids:
            self.pending, self.settled = dict(turn.ids), True
        return [*events, turn.usage, Finished(turn.reason, turn.stop_sequence)]

    def _tune(self, tuning: Tuning, before: Tuning | None = None) -> bytes:
        """Write the change of settings, nothing if there is none. The CLI takes it before what follows."""
        if tuning == self._tuning:
            return b""

        self._tuning = tuning
        _, line = protocol.control_request("apply_flag_settings", settings=tuning.settings(before))
        return line


def _not_as_asked() -> UpstreamError:
    return UpstreamError(
        "the model's answer does not follow the schema of response_format", code="invalid_output"
    )
