"""What keeps the CLI from asking once more, by itself, what nobody asked. Pure.

At its output limit it would let the model go on, and a call of a tool that nobody offered it would answer
itself. It asks us before either, by hooks: after each text, before the message ends, and before the request
that follows tool results. Then what it would ask dies within it, and the process can be used again.
"""

from __future__ import annotations

from typing import Any

from claude_max_proxy.backends.claude_cli.protocol import control_request
from claude_max_proxy.messages_api import Delta


AFTER_TEXT = "text"
AFTER_CALLS = "calls"
# For ``initialize``; the ids are the hooks' names in what the CLI asks then.
HOOKS: dict[str, list[dict[str, Any]]] = {
    "MessageDisplay": [{"hookCallbackIds": [AFTER_TEXT]}],
    "PostToolBatch": [{"hookCallbackIds": [AFTER_CALLS]}],
}
# Every model can answer with so many tokens.
_SMALLEST_LIMIT = 4096
_LIMIT = "CLAUDE_CODE_BLOCKING_LIMIT_OVERRIDE"
# The CLI guesses tokens, the provider counts them.
NO_FENCE = {_LIMIT: "1000000000"}
# A thought may be shown as its summary, or only as its signature.
_OF_A_THOUGHT = 8
_STOP: dict[str, Any] = {"continue": False, "stopReason": "the call cannot be answered"}


class Fence:
    """One answer's. ``closed`` says that the CLI was told to ask nothing more."""

    def __init__(self, limit: int | None, *, closes: bool = True) -> None:
        """Guard an answer of at most ``limit`` tokens, as many as the model can if ``None``.

        It never ``closes`` where the CLI is to ask again, as it is when an answer does not follow its schema.
        """
        self._closes = closes
        self.closed = False
        self._limit = limit or _SMALLEST_LIMIT
        self._size = 0

    def add(self, delta: Delta) -> None:
        """Count a fragment. A token is a byte at least, so an answer with fewer bytes is within its limit."""
        self._size += len((delta.text or delta.partial_json or "").encode())
        self._size += _OF_A_THOUGHT * len((delta.thinking or delta.signature or "").encode())

    @property
    def is_near(self) -> bool:
        """Whether the answer may end at its limit."""
        return self._closes and self._size >= self._limit

    def close(self) -> bytes:
        """Return the lines after which the CLI finds all that it would ask too long; settings undo that."""
        self.closed = True
        _, line = control_request("apply_flag_settings", settings={"env": {_LIMIT: "1"}})
        return line

    def answer(self, hook: str, *, stray: bool) -> tuple[bytes, dict[str, Any]]:
        """Return the lines to send before the hook's answer, and that; ``stray`` says that a call is."""
        if hook == AFTER_CALLS and (stray or self.closed):
            return b"", _STOP
        if hook == AFTER_TEXT and self.is_near and not self.closed:
            return self.close(), {}
        return b"", {}
