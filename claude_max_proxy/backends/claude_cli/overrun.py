"""Notices where the CLI would ask the model again although the answer is over. Pure.

The CLI does so after the output limit, after a refusal, and when the model has neither said nor called
anything. Where nothing else keeps it from doing so, its process is killed, and every millisecond counts: the
lines are looked at when they come from the pipe, before the client gets anything that they say.
"""

from __future__ import annotations

from claude_max_proxy.anthropic_messages import StreamEvent, is_blank
from claude_max_proxy.backends.claude_cli.protocol import FINAL, Line


class Overrun:
    """Watches the answers of one process.

    ``meant`` says that the CLI is meant to ask again after a message that says nothing, as when it checks
    structured answers or works as an agent.
    """

    def __init__(self) -> None:
        """Begin before the first answer."""
        self.meant = False
        self._silent = True

    def begins(self, line: Line) -> bool:
        """Take the next line, and return whether the CLI would ask again after it."""
        event = line.event
        if event is None or line.parent_tool_use_id:
            return False
        if event.type == "message_delta":
            reason = event.delta.stop_reason if event.delta else None
            return bool(reason) and (reason in FINAL or (self._silent and not self.meant))

        self._silent = event.type == "message_start" or (self._silent and not _says(event))
        return False


def _says(event: StreamEvent) -> bool:
    """Return whether an event begins a call, or brings text that is more than white space."""
    block, delta = event.content_block, event.delta
    if block is not None:
        return block.type == "tool_use" or not is_blank(block.text or "")
    return delta is not None and not is_blank(delta.text or "")
