"""One conversation in one process: bound to a client's request, replayed, asked, and continued in place."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

from claude_max_proxy import (
    Event,
    Events,
    Finished,
    Message,
    ProxyError,
    Request,
    Tool,
    ToolResult,
    UpstreamFailed,
    UpstreamTimeout,
)
from claude_max_proxy.backends.claude_cli import protocol
from claude_max_proxy.backends.claude_cli.command import MCP_SERVER
from claude_max_proxy.backends.claude_cli.failures import failure
from claude_max_proxy.backends.claude_cli.process import CliProcess
from claude_max_proxy.backends.claude_cli.protocol import (
    ControlRequest,
    Initialized,
    Line,
    RateLimitInfo,
    StreamEvent,
)
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings
from claude_max_proxy.backends.claude_cli.tools import Names, call_result, serve
from claude_max_proxy.backends.claude_cli.translation import history_lines, user_line
from claude_max_proxy.backends.claude_cli.turn import Turn


_SETTLE_TIMEOUT = 10.0
# After these the CLI would go on by itself and ask, and bill, again.
_FINAL = frozenset({"max_tokens", "refusal", "model_context_window_exceeded"})


class Conversation:
    """Speaks with one process. ``reusable`` says whether its transcript is still what the client knows.

    ``limit`` is the newest that the CLI said of the plan's window; what it says of models goes to ``learn``.
    """

    def __init__(
        self,
        process: CliProcess,
        settings: ClaudeCliSettings,
        learn: Callable[[dict[str, protocol.ModelUsage]], None],
    ) -> None:
        """Take a process that nobody has spoken to."""
        self.process = process
        self.reusable = False
        self.limit: RateLimitInfo | None = None
        self._learn = learn
        self._settings = settings
        self._lines: deque[Line] = deque()
        self._tools: Sequence[Tool] = ()
        self._names = Names()
        self._calls: dict[str, tuple[str, int | str | None]] = {}
        self._results: dict[str, ToolResult] = {}
        self.pending: dict[str, str] = {}

    async def bind(self, request: Request) -> Initialized:
        """Tell the process who it is: instructions, tools, schema. Once per process."""
        self._tools, self._names = request.tools, Names(request.tools)
        fields: dict[str, Any] = {"systemPrompt": [request.system] if request.system else []}
        if request.tools:
            fields["sdkMcpServers"] = [MCP_SERVER]
        if request.response_schema is not None:
            fields["jsonSchema"] = request.response_schema
        response = await self._control("initialize", **fields)
        return protocol.decode_initialized(response.response)

    async def replay(self, messages: Sequence[Message]) -> None:
        """Append history without asking the model. The CLI queues user lines, so each is waited for."""
        for message in messages:
            line_ = history_lines(message, self._names.upstream)
            if line_ is None:
                continue
            await self.process.send(line_)
            if message.role == "user":
                async for line in self._read(self._settings.start_timeout, "replaying the history"):
                    if line.type == "result":
                        break

    async def ask(self, message: Message, turn: Turn) -> Events:
        """Ask, and give the answer's events."""
        await self.process.send(user_line(message, self._names.upstream, ask=True))
        async for event in self._answer(turn):
            yield event

    async def resume(self, results: dict[str, ToolResult], turn: Turn) -> Events:
        """Hand over the results that the parked calls wait for, by the upstream's ids, and go on."""
        self._results, self.pending = results, {}
        for tool_use_id in [known for known in self._calls if known in results]:
            await self._return(tool_use_id)
        async for event in self._answer(turn):
            yield event

    async def settle(self) -> bool:
        """After an ordinary answer, wait until the CLI is ready for the next; say whether it is."""
        try:
            async for line in self._read(_SETTLE_TIMEOUT, "waiting for the end of the turn"):
                if line.type == "result":
                    self._learn(line.model_usage)
                    return not line.is_error
        except ProxyError:
            pass
        return False

    # --- the answer

    async def _answer(self, turn: Turn) -> Events:
        self.reusable = False
        limits = (self._settings.first_event_timeout, self._settings.stall_timeout)
        async for line in self._read(limits[0], "waiting for the answer", stall=limits[1]):
            if line.type == "stream_event" and line.event and not line.parent_tool_use_id:
                for event in self._events(line.event, turn):
                    yield event
                if self._ended(line.event, turn):
                    for event in self._finish(turn):
                        yield event
                    return
            elif line.type == "result":
                self._learn(line.model_usage)
                raise failure(line, self.limit, time.time())

    def _events(self, event: StreamEvent, turn: Turn) -> list[Event]:
        if event.type == "message_start" and turn.said_anything:
            # The CLI tries again by itself after a broken stream; what was sent cannot be taken back.
            self.process.kill()
            raise UpstreamFailed("the connection to the provider broke in the middle of the answer")
        if event.content_block and event.content_block.name:
            name = event.content_block.name
            event.content_block.name = self._names.client.get(name, name)
        return turn.read(event)

    def _ended(self, event: StreamEvent, turn: Turn) -> bool:
        if event.type == "message_delta" and turn.stop_reason in _FINAL:
            self.process.kill()
            return True

        # Without a reason the message was cut off: the result that follows says why.
        return event.type == "message_stop" and bool(turn.stop_reason)

    def _finish(self, turn: Turn) -> list[Event]:
        events = turn.close()
        reason = turn.reason
        if turn.ids and reason in {"stop", "tool_calls"}:
            reason = "tool_calls"
            self.pending = dict(turn.ids)
        self._results = {}
        self.reusable = reason in {"stop", "tool_calls"}
        return [*events, turn.usage, Finished(reason)]

    # --- reading, and answering what the CLI asks meanwhile

    async def _control(self, subtype: str, **fields: Any) -> protocol.ControlResponse:
        request_id, line = protocol.control_request(subtype, **fields)
        await self.process.send(line)
        async for heard in self._read(self._settings.start_timeout, f"answering {subtype}"):
            response = heard.response
            if heard.type == "control_response" and response and response.request_id == request_id:
                if response.subtype != "success":
                    raise UpstreamFailed(f"the Claude Code CLI refused {subtype}: {response.error}")
                return response
        raise UpstreamFailed("unreachable: reading ends with an error")

    async def _read(
        self, timeout: float, doing: str, stall: float | None = None
    ) -> AsyncGenerator[Line, None]:
        """Give the CLI's lines, but for what is answered here; never ends but by an error."""
        while True:
            if not self._lines:
                await self._fill(timeout, doing)
            line = self._lines.popleft()
            if line.type == "stream_event":
                timeout = stall or timeout
                yield line
            elif line.type == "control_request" and line.request:
                await self._serve(line.request_id, line.request)
            elif line.rate_limit_info is not None:
                self.limit = line.rate_limit_info
            else:
                yield line

    async def _fill(self, timeout: float, doing: str) -> None:
        try:
            async with asyncio.timeout(timeout):
                batch = await self.process.inbox.get()
        except TimeoutError as error:
            raise UpstreamTimeout(
                f"the Claude Code CLI was silent for {timeout:g} s while {doing} "
                f"({self.process.last_words()})"
            ) from error
        if batch is None:
            self.process.inbox.put_nowait(None)  # whoever reads next must learn it too
            await self.process.exits_within(1)
            raise UpstreamFailed(f"the Claude Code CLI ended while {doing}: {self.process.last_words()}")
        self._lines.extend(batch)

    async def _serve(self, request_id: str, request: ControlRequest) -> None:
        message = request.message
        if request.subtype != "mcp_message" or message is None:
            await self.process.send(protocol.refusal(request_id, "not supported"))
        elif message.method == "tools/call" and message.params:
            tool_use_id = message.params.tool_use_id
            self._calls[tool_use_id] = (request_id, message.id)
            if tool_use_id in self._results:
                await self._return(tool_use_id)
        else:
            result = serve(message, self._tools, self._names)
            await self.process.send(protocol.mcp_response(request_id, message.id, result))

    async def _return(self, tool_use_id: str) -> None:
        request_id, rpc_id = self._calls.pop(tool_use_id)
        result = call_result(self._results[tool_use_id])
        await self.process.send(protocol.mcp_response(request_id, rpc_id, result))
