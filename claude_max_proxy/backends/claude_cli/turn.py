"""One turn: the CLI's stream events in, our events out. Pure.

A turn may span several messages of the upstream (the CLI goes on by itself after tool results), so block
indexes start again while ours go on.
"""

from __future__ import annotations

import secrets
import string

from claude_max_proxy import Event, PartDelta, PartEnded, PartStarted, Request, Started
from claude_max_proxy.backends.claude_cli.tools import STRUCTURED_OUTPUT, is_sound, names_of
from claude_max_proxy.messages_api import ApiMessage, ContentBlock, Delta, MessageReader, is_blank


_ALPHABET = string.ascii_letters + string.digits


class Turn(MessageReader):
    """Translates one turn. ``ids`` maps each tool call's id as the client sees it to the upstream's own.

    With a schema the answer is the input of one tool of the CLI's own, and becomes the text; what the model
    says beside it is not part of the answer. A whole answer waits until the CLI has found it right. With an
    agent, what it does with its own tools is not shown. ``stray`` says that the model called a tool that
    nobody offered, or with arguments that are no object: the CLI would answer such a call by itself, and ask
    again. ``silent`` says that the newest message neither calls a tool nor says a word: the CLI would ask the
    model to go on. ``answered`` says that the client has begun to hear an answer.
    """

    def __init__(self, request: Request, *, live: bool, queued: float) -> None:
        """Begin a turn, of a conversation that goes on in place or not, after waiting ``queued`` seconds."""
        super().__init__()
        self.structured = request.response_schema is not None
        self.agent = request.agent is not None
        self.names = names_of(request)
        self.ids: dict[str, str] = {}
        self.stray = self.answered = False
        self.silent = True
        self._held: list[str] | None = None if request.stream else []
        self._messages = 0
        self._texts = 0
        self._live, self._queued = live, queued
        self._holding = False

    @property
    def goes_on(self) -> bool:
        """Whether the CLI goes on by itself after a message: to check a structured answer, or to work."""
        return (self.structured or self.agent) and not self.ids

    def close(self) -> list[Event]:
        """Close the part that is open, if one is."""
        self._holding = False
        if self._open is not None and self._open.kind == "tool_call":
            self.stray = self.stray or not is_sound("".join(self._arguments))
        return super().close()

    def release(self) -> list[Event]:
        """Return the structured answer that was held back."""
        if not (self.structured and self._held):
            return []

        self.answered = True
        part = PartStarted(self._next, "text")
        return [part, PartDelta(part.index, "".join(self._held)), PartEnded(part.index)]

    @property
    def holds_answer(self) -> bool:
        """Whether a structured answer was given at all."""
        return self.answered or bool(self._held)

    def _message(self, message: ApiMessage) -> list[Event]:
        super()._message(message)
        self._messages += 1
        self.silent = True
        return [] if self._messages > 1 else [Started(message.model, self._live, self._queued, self.usage)]

    def _text(self, text: str) -> list[Event]:
        if self.structured:
            return []

        self.answered = True
        self.silent = self.silent and is_blank(text)
        self._texts += 1
        apart = "\n\n" if self.agent and self._texts > 1 else ""  # what was said between two deeds
        return super()._text(apart + text)

    def _delta(self, delta: Delta | None) -> list[Event]:
        if self.silent and delta is not None and delta.text:
            self.silent = is_blank(delta.text)
        return super()._delta(delta)

    def _call(self, block: ContentBlock) -> list[Event]:
        self.silent = False
        if self.structured and block.name == STRUCTURED_OUTPUT:
            return self._structured_answer()

        name = self.names.client.get(block.name)
        if name is None and self.agent:
            return []

        self.stray = self.stray or name is None
        self.answered = True
        self.calls += 1
        call_id = "call" + "".join(secrets.choice(_ALPHABET) for _ in range(24))
        self.ids[call_id] = block.id
        return self._part("tool_call", call_id, name or block.name)

    def _structured_answer(self) -> list[Event]:
        if self._held is None:
            self.answered = True
            return self._part("text")

        self._held.clear()
        self._holding = True
        return []

    def _loose(self, text: str) -> None:
        if self._holding and self._held is not None:
            self._held.append(text)
