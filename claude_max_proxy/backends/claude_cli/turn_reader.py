"""Reads one answer: takes the CLI's lines and returns our events, until the turn ends or something fails."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

from claude_max_proxy import Event, Events, Finished
from claude_max_proxy.anthropic_messages import Delta, StreamEvent
from claude_max_proxy.backends.claude_cli import protocol
from claude_max_proxy.backends.claude_cli.channel import Channel
from claude_max_proxy.backends.claude_cli.failures import failure
from claude_max_proxy.backends.claude_cli.fence import Fence
from claude_max_proxy.backends.claude_cli.protocol import Line
from claude_max_proxy.backends.claude_cli.rehearsal import lead_nowhere
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings
from claude_max_proxy.backends.claude_cli.tools import told_name
from claude_max_proxy.backends.claude_cli.turn import Turn
from claude_max_proxy.errors import UpstreamError, UpstreamFailed


TOOLS_MISSING = "tools_missing"
# The CLI lets the model try a few times; this says that none of its answers followed the schema.
_NEVER_RIGHT = "error_max_structured_output_retries"


class TurnReader:
    """Reads the answer of one turn from ``channel``.

    ``needed`` maps the upstream names of the tools that the model may call to the client's names. A ``fence``
    keeps the CLI from asking the model again by itself; without one, the process is killed at that point.
    """

    def __init__(
        self, channel: Channel, turn: Turn, needed: Mapping[str, str], settings: ClaudeCliSettings
    ) -> None:
        """Prepare to read the answer; nothing is read before :meth:`events`."""
        self.fence: Fence | None = None
        self._channel = channel
        self._turn = turn
        self._needed = needed
        self._settings = settings

    def guard(self, fence: Fence) -> None:
        """Keep the CLI from asking again with ``fence``."""
        self.fence = fence
        self._channel.on_hook = self._hooked

    async def events(self, ask: Callable[[], Awaitable[None]], finish: Callable[[], None]) -> Events:
        """Call ``ask``, then yield the answer's events, :class:`Finished` last.

        ``finish`` is called before that one, since the client can ask again as soon as it learns of the end.
        Raises a ``ProxyError`` for what went wrong.
        """
        await ask()
        limits = (self._settings.first_event_timeout, self._settings.stall_timeout)
        async for line in self._channel.read(limits[0], "waiting for the answer", stall=limits[1]):
            if line.type == "stream_event" and line.event and not line.parent_tool_use_id:
                for event in self._events(line.event):
                    yield event
                if line.event.delta is not None and self.fence is not None:
                    await self._watch(self.fence, line.event.delta)
                if self._turn.stray and line.event.type == "content_block_start" and self.fence is None:
                    await self._channel.process.send(lead_nowhere())  # its end might come too late
                if self._ended(line.event):
                    break
            elif line.type == "result":
                self._check(line)
                break
            elif line.response and line.response.subtype == "error":
                raise UpstreamFailed(f"the Claude Code CLI refused a setting: {line.response.error}")
        turn = self._turn
        for event in [*turn.close(), *turn.release(), turn.usage]:
            yield event
        finish()
        yield Finished(turn.reason, turn.stop_sequence)

    def _hooked(self, hook: str) -> tuple[bytes, dict[str, Any]]:
        assert self.fence is not None
        lines, response = self.fence.respond(hook, stray=self._turn.stray, silent=self._turn.silent)
        if self.fence.closed:
            self._channel.fenced = self._channel.process.fenced = True
        return lines, response

    def _check_tools(self) -> None:
        """Raise :class:`UpstreamError` unless the CLI has every tool: it leaves some out without a word."""
        there: Collection[str] = self._channel.there or []
        if missing := [name for name in self._needed if told_name(name) not in there]:
            self._channel.process.kill()
            names = ", ".join(repr(self._needed[name]) for name in sorted(missing))
            raise UpstreamError(f"the Claude Code CLI does not take the tools {names}", code=TOOLS_MISSING)

    def _check(self, result: Line) -> None:
        """Raise the failure that a result stands for, if it is one.

        A result ends a structured answer or an agent's work. Where it comes instead of an ordinary answer's
        end, it is a failure.
        """
        turn = self._turn
        self._channel.learn(result.model_usage)
        if result.subtype == _NEVER_RIGHT:
            raise not_as_asked()
        if result.is_error or not turn.goes_on:
            raise failure(result, self._channel.limit, time.time())
        if turn.structured and (not turn.holds_answer or bytes(result.structured_output) == b"null"):
            raise not_as_asked()

    def _events(self, event: StreamEvent) -> list[Event]:
        turn = self._turn
        if event.type == "message_start":
            self._check_tools()
        if event.type == "message_start" and turn.answered and not turn.agent:
            # The CLI asks the model again by itself, but what the client has received cannot be taken back.
            self._channel.process.kill()
            if turn.structured:
                raise not_as_asked()
            raise UpstreamFailed("the connection to the provider broke in the middle of the answer")
        return turn.read(event)

    async def _watch(self, fence: Fence, delta: Delta) -> None:
        """Count a fragment, and close the fence during a thought that comes near the limit.

        The CLI calls no hook after a thought, so that is the only chance.
        """
        fence.add(delta)
        if (delta.thinking or delta.signature) and fence.is_near and not fence.closed:
            self._channel.fenced = True
            with contextlib.suppress(UpstreamFailed):  # it may be at its end already
                await self._channel.process.send(fence.close())

    def _ended(self, event: StreamEvent) -> bool:
        turn = self._turn
        if event.type == "message_delta":
            mute = turn.silent and bool(turn.stop_reason) and not turn.goes_on
            final = turn.stop_reason in protocol.FINAL and not self._channel.process.fenced
            if final or mute or (turn.stray and self.fence is None):
                self._channel.process.kill()  # the CLI would answer for the user, and ask again
            return final or mute or turn.stray or turn.stop_reason in protocol.FINAL

        # A message without a stop reason was cut off; the result that follows says why.
        return event.type == "message_stop" and bool(turn.stop_reason) and not turn.goes_on


def not_as_asked() -> UpstreamError:
    """Return the error for an answer that does not follow the client's schema."""
    return UpstreamError(
        "the model's answer does not follow the schema of response_format", code="invalid_output"
    )
