"""The conversation between the proxy and one process: reads lines within time limits, answers requests."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

from claude_max_proxy import ToolResult
from claude_max_proxy.anthropic_messages import Block
from claude_max_proxy.backends.claude_cli import protocol
from claude_max_proxy.backends.claude_cli.process import CliProcess
from claude_max_proxy.backends.claude_cli.protocol import ControlRequest, Line, RateLimitInfo
from claude_max_proxy.backends.claude_cli.tools import call_result, serve
from claude_max_proxy.errors import UpstreamFailed, UpstreamTimeout


_CALL_TIMEOUT = 5.0

Hook = Callable[[str], tuple[bytes, dict[str, Any]]]
Learn = Callable[[dict[str, protocol.ModelUsage]], None]
Hear = Callable[[RateLimitInfo], None]


class Channel:
    """Speaks with one process.

    - ``tools``: what the CLI is told when it asks for the tools; ``listed`` says that it has asked.
    - ``over``: the CLI has sent the last line of the newest turn.
    - ``fenced``: the CLI was told to ask the model nothing more.
    - ``there``: the names of the tools that the CLI says it has, ``None`` before it has said so.
    - ``on_hook``: a function that returns the answer to a hook, and the lines to send before that answer.
    - ``limit``: the newest that the CLI said about the plan's usage limit.
    - ``learn``: a function that is called with what the CLI says about models.
    - ``hear``: a function that is called with what the CLI says about the plan's usage limit.
    """

    def __init__(self, process: CliProcess, start_timeout: float, learn: Learn) -> None:
        """Take a process that nobody has spoken to; ``start_timeout``, in seconds, bounds our requests."""
        self.process = process
        self.tools: list[Block] = []
        self.listed = False
        self.over = True
        self.fenced = False
        self.there: list[str] | None = None
        self.on_hook: Hook = _go_on
        self.limit: RateLimitInfo | None = None
        self.learn = learn
        self.hear: Hear = _ignore
        self._start_timeout = start_timeout
        self._stepwise = False
        self._lines: deque[Line] = deque()
        self._calls: dict[str, tuple[str, int | str | None]] = {}

    async def rehearsed(self) -> None:
        """Wait until a process that was just started has loaded what its first answer needs."""
        try:
            async with asyncio.timeout(self._start_timeout):
                await self.process.rehearsed.wait()
        except TimeoutError as error:
            raise self._silent(self._start_timeout, "starting") from error

    async def control(self, subtype: str, **fields: Any) -> protocol.ControlResponse:
        """Send the CLI a control request and return its response.

        Raises :class:`UpstreamFailed` if the CLI refuses or ends, :class:`UpstreamTimeout` if it is silent.
        """
        request_id, line = protocol.control_request(subtype, **fields)
        await self.process.send(line)
        async for heard in self.read(self._start_timeout, f"answering {subtype}"):
            response = heard.response
            if heard.type == "control_response" and response and response.request_id == request_id:
                if response.subtype != "success":
                    raise UpstreamFailed(f"the Claude Code CLI refused {subtype}: {response.error}")
                return response
        raise UpstreamFailed("unreachable: reading ends with an error")

    async def appended(self) -> None:
        """Wait until the CLI has taken a message of the history into its transcript."""
        async for line in self.read(self._start_timeout, "replaying the history"):
            if line.type == "result":
                return

    async def lists(self) -> None:
        """Wait until the CLI has asked for the tools."""
        while not self.listed:
            if not self._lines:
                await self._fill(self._start_timeout, "asking for the tools")
            line = self._lines.popleft()
            if line.type == "control_request" and line.request:
                await self._serve(line.request_id, line.request)

    async def rewind(self, lines: Sequence[str]) -> None:
        """Take back the user's ``lines``, given newest first, with everything that followed from them.

        A turn that is not over is interrupted. Raises :class:`UpstreamFailed` unless the CLI confirms both
        that it has taken the lines back and that the turn is over.
        """
        rewound = False
        if len(lines) == 1 or not self._stepwise:
            rewound = await self._rewind([(lines[-1], lines[0])])
        if not rewound and len(lines) > 1:
            self._stepwise = True  # older CLIs go back only one line at a time
            rewound = await self._rewind([(line, line) for line in lines])
        if not (rewound and self.over):
            raise UpstreamFailed("the Claude Code CLI did not take back what was said")
        self._calls.clear()
        self.on_hook = _go_on

    async def _rewind(self, steps: Sequence[tuple[str, str]]) -> bool:
        """Request all ``steps`` at once, and return whether all succeeded.

        A step is a pair: the line to go back to, and the newest line at that time.
        """
        requests = [protocol.rewind(target, newest) for target, newest in steps]
        await self.process.send(b"".join(line for _, line in requests))
        waiting, rewound = {request_id for request_id, _ in requests}, True
        async for heard in self.read(self._start_timeout, "taking back what was said"):
            if heard.response and heard.response.request_id in waiting:
                waiting.discard(heard.response.request_id)
                rewound = rewound and protocol.is_rewound(heard.response)
                if not waiting:
                    break
        return rewound

    async def called(self, calls: set[str]) -> bool:
        """Wait until the CLI has made all ``calls``, given by their ids.

        Returns whether the CLI waits for their results. It answers a call that it finds wrong by itself, and
        then goes on without waiting for us.
        """
        while not calls <= self._calls.keys():
            if not self._lines:
                await self._fill(_CALL_TIMEOUT, "waiting for the tool calls")
            line = self._lines.popleft()
            if line.type == "control_request" and line.request:
                await self._serve(line.request_id, line.request)
            elif line.type in {"user", "stream_event", "result"}:
                self.over = self.over or line.type == "result"
                return False
        return True

    def returned(self, call: str, result: ToolResult) -> bytes:
        """Return the line that answers a call which waits for its result."""
        request_id, rpc_id = self._calls.pop(call)
        return protocol.mcp_response(request_id, rpc_id, call_result(result))

    async def read(
        self, timeout: float, doing: str, stall: float | None = None
    ) -> AsyncGenerator[Line, None]:
        """Yield the CLI's lines, except those that are handled here; this only ends with an error.

        ``timeout`` bounds the wait for a line, in seconds; once the answer has begun, ``stall`` does.
        ``doing`` says in the errors what the wait was for. Raises :class:`UpstreamTimeout` when a wait takes
        too long and :class:`UpstreamFailed` when the process ends.
        """
        while True:
            if not self._lines:
                await self._fill(timeout, doing)
            line = self._lines.popleft()
            if line.type == "stream_event":
                timeout = stall or timeout
                yield line
            elif line.type == "result":
                self.over = True
                yield line
            elif line.type == "control_request" and line.request:
                await self._serve(line.request_id, line.request)
            elif protocol.is_rehearsed(line) and line.response:
                context = protocol.decode_context(line.response.response)
                self.learn({context.model: protocol.ModelUsage(context.window)})
            elif line.subtype == "init" and line.tools is not None:
                self.there = line.tools
            elif line.rate_limit_info is not None:
                self.limit = line.rate_limit_info
                self.hear(line.rate_limit_info)
            else:
                yield line

    async def _fill(self, timeout: float, doing: str) -> None:
        try:
            async with asyncio.timeout(timeout):
                batch = await self.process.inbox.get()
        except TimeoutError as error:
            raise self._silent(timeout, doing) from error
        if batch is None:
            self.process.inbox.put_nowait(None)  # the next reader must learn of the end too
            await self.process.exits_within(1)
            raise UpstreamFailed(f"the Claude Code CLI ended while {doing}: {self.process.last_words()}")
        self._lines.extend(batch)

    def _silent(self, seconds: float, doing: str) -> UpstreamTimeout:
        words = self.process.last_words()
        return UpstreamTimeout(f"the Claude Code CLI was silent for {seconds:g} s while {doing} ({words})")

    async def _serve(self, request_id: str, request: ControlRequest) -> None:
        message = request.message
        if request.subtype == "hook_callback":
            lines, answer = self.on_hook(request.callback_id)
            await self.process.send(lines + protocol.hook_response(request_id, answer))
        elif request.subtype != "mcp_message" or message is None:
            await self.process.send(protocol.refusal(request_id, "not supported"))
        elif message.method == "tools/call" and message.params:
            tool_use_id = message.params.tool_use_id
            self._calls[tool_use_id] = (request_id, message.id)
        else:
            result = serve(message, self.tools)
            await self.process.send(protocol.mcp_response(request_id, message.id, result))
            self.listed = self.listed or message.method == "tools/list"


def _go_on(hook: str) -> tuple[bytes, dict[str, Any]]:  # noqa: ARG001  # the same for every hook
    return b"", {}


def _ignore(_: RateLimitInfo) -> None:
    pass
