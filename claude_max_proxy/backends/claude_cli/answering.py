"""Reads one answer: the CLI's lines in, our events out, up to the end of the turn or to what is wrong."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Mapping
from typing import Any

from claude_max_proxy import Event, Events, Finished, UpstreamError, UpstreamFailed
from claude_max_proxy.backends.claude_cli import protocol
from claude_max_proxy.backends.claude_cli.channel import Channel
from claude_max_proxy.backends.claude_cli.failures import failure
from claude_max_proxy.backends.claude_cli.fence import Fence
from claude_max_proxy.backends.claude_cli.protocol import Line
from claude_max_proxy.backends.claude_cli.rehearsal import lead_nowhere
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings
from claude_max_proxy.backends.claude_cli.tools import told_name
from claude_max_proxy.backends.claude_cli.turn import Turn
from claude_max_proxy.messages_api import Delta, StreamEvent


# The CLI let the model try a few times, and no answer followed the schema.
_NEVER_RIGHT = "error_max_structured_output_retries"


class Answer:
    """One turn's answer, read from ``channel``.

    ``needed`` maps the tools that it may call to the client's names. Without a ``fence`` a process is killed
    where the CLI would ask again by itself.
    """

    def __init__(
        self, channel: Channel, turn: Turn, needed: Mapping[str, str], settings: ClaudeCliSettings
    ) -> None:
        """Begin before the question is sent."""
        self.fence: Fence | None = None
        self._channel = channel
        self._turn = turn
        self._needed = needed
        self._settings = settings

    def guard(self, fence: Fence) -> None:
        """Keep the CLI from asking again with ``fence``."""
        self.fence = fence
        self._channel.on_hook = self._hooked

    async def events(self) -> Events:
        """Return the answer's events, the last of them :class:`Finished`; raise what went wrong."""
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
        for event in [*turn.close(), *turn.release(), turn.usage, Finished(turn.reason, turn.stop_sequence)]:
            yield event

    def _hooked(self, hook: str) -> tuple[bytes, dict[str, Any]]:
        assert self.fence is not None
        lines, answer = self.fence.answer(hook, stray=self._turn.stray)
        if self.fence.closed:
            self._channel.fenced = self._channel.process.fenced = True
        return lines, answer

    def _check_tools(self) -> None:
        """Make sure that the CLI has every tool of this turn: it leaves some out, and says nothing."""
        there: Collection[str] = self._channel.there or []
        if missing := [name for name in self._needed if told_name(name) not in there]:
            self._channel.process.kill()
            names = ", ".join(repr(self._needed[name]) for name in sorted(missing))
            raise UpstreamError(f"the Claude Code CLI does not take the tools {names}", code="tools_missing")

    def _check(self, result: Line) -> None:
        """Take a result: of a structured answer or an agent's work it is the end, of any other a failure."""
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
            # The CLI asks again by itself; what was sent cannot be taken back.
            self._channel.process.kill()
            if turn.structured:
                raise not_as_asked()
            raise UpstreamFailed("the connection to the provider broke in the middle of the answer")
        return turn.read(event)

    async def _watch(self, fence: Fence, delta: Delta) -> None:
        """Count a fragment. After a thought there is no hook, so the fence is closed while it goes on."""
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

        # Without a reason the message was cut off: the result that follows says why.
        return event.type == "message_stop" and bool(turn.stop_reason) and not turn.goes_on


def not_as_asked() -> UpstreamError:
    """Return the error of an answer that does not follow the client's schema."""
    return UpstreamError(
        "the model's answer does not follow the schema of response_format", code="invalid_output"
    )
