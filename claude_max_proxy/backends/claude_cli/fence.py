"""Keeps the CLI from asking the model again by itself, without a question from a client. Pure.

When an answer reaches the output limit or consists of white space alone, the CLI would tell the model to go
on; when the model calls a tool that nobody offered, the CLI would answer the call itself. Before it does
either, it calls a hook: after each text, before the message ends, and before the request that follows tool
results. The fence uses these hooks to make the CLI fail before it sends anything, so the process can be used
again.
"""

from __future__ import annotations

from typing import Any

from claude_max_proxy.anthropic_messages import Delta
from claude_max_proxy.backends.claude_cli.protocol import control_request


AFTER_TEXT = "text"
AFTER_CALLS = "calls"
# A field of ``initialize``. The CLI uses the ids to say which hook it calls.
HOOKS: dict[str, list[dict[str, Any]]] = {
    "MessageDisplay": [{"hookCallbackIds": [AFTER_TEXT]}],
    "PostToolBatch": [{"hookCallbackIds": [AFTER_CALLS]}],
}
# Every model can answer with at least this many tokens.
_SMALLEST_LIMIT = 4096
_LIMIT = "CLAUDE_CODE_BLOCKING_LIMIT_OVERRIDE"
# The CLI only estimates tokens; whether a request is too long is for the provider to decide.
NO_FENCE = {_LIMIT: "1000000000"}
# We may see only a thought's summary or its signature, so each of their bytes stands for up to 8 tokens.
_OF_A_THOUGHT = 8
_STOP: dict[str, Any] = {"continue": False, "stopReason": "the call cannot be answered"}


class Fence:
    """The fence of one answer. ``closed`` says that the CLI was told to ask nothing more."""

    def __init__(self, limit: int | None, *, closes: bool = True) -> None:
        """Guard an answer of at most ``limit`` tokens; ``None`` stands for as many as the model can write.

        ``closes`` is false where the CLI is meant to ask again, as when it checks structured answers.
        """
        self._closes = closes
        self.closed = False
        self._limit = limit or _SMALLEST_LIMIT
        self._size = 0

    def add(self, delta: Delta) -> None:
        """Count a fragment, in bytes.

        A token has at least one byte, so an answer with fewer bytes than ``limit`` is within its limit.
        """
        self._size += len((delta.text or delta.partial_json or "").encode())
        self._size += _OF_A_THOUGHT * len((delta.thinking or delta.signature or "").encode())

    @property
    def is_near(self) -> bool:
        """Whether the answer may be long enough to end at its limit."""
        return self._closes and self._size >= self._limit

    def close(self) -> bytes:
        """Close the fence, and return the lines that do so.

        They set a limit on the length of prompts that every request exceeds, so the CLI sends none. The
        settings for the next question undo this.
        """
        self.closed = True
        _, line = control_request("apply_flag_settings", settings={"env": {_LIMIT: "1"}})
        return line

    def respond(self, hook: str, *, stray: bool, silent: bool = False) -> tuple[bytes, dict[str, Any]]:
        """Return what a hook is answered, after the lines to send before that.

        ``stray`` says that the model called a tool that nobody offered, ``silent`` that it has said nothing
        but white space so far.
        """
        if hook == AFTER_CALLS and (stray or self.closed):
            return b"", _STOP
        if hook == AFTER_TEXT and (self.is_near or (silent and self._closes)) and not self.closed:
            return self.close(), {}
        return b"", {}
