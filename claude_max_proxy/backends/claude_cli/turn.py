"""Translates one turn: takes the CLI's stream events and returns our events. Pure.

A turn may consist of several messages of the upstream, since the CLI goes on by itself after tool results. So
the upstream's block indexes begin again with each message, while our part indexes go on.
"""

from __future__ import annotations

from claude_max_proxy import Event, PartStarted, Request, Started, complete_part, formats
from claude_max_proxy.anthropic_messages import ApiMessage, ContentBlock, Delta, MessageReader, is_blank
from claude_max_proxy.backends.claude_cli.tools import STRUCTURED_OUTPUT, is_sound, names_of


class Turn(MessageReader):
    """Translates one turn.

    With a schema, the answer is the input of one of the CLI's own tools, and becomes the text; other text of
    the model is not part of the answer. If the client does not stream, the answer is held back until the CLI
    has checked it. With an agent, what it does with its own tools is not shown.

    - ``ids``: maps the id of each tool call, as the client sees it, to the upstream's.
    - ``stray``: the model called a tool that nobody offered, or with arguments that the CLI would not pass on
      or keep unchanged. The CLI would answer such a call by itself and ask the model again.
    - ``silent``: the newest message neither calls a tool nor says anything, so the CLI would ask the model to
      go on.
    - ``answered``: the client has received the beginning of an answer.
    """

    def __init__(self, request: Request, *, live: bool, queued: float, replayed: str = "") -> None:
        """Begin a turn.

        ``live`` says whether the conversation goes on where it was in its process, and ``queued`` for how
        many seconds the request waited for a process.
        """
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
        self._live, self._queued, self._replayed = live, queued, replayed
        self._holding = False

    @property
    def goes_on(self) -> bool:
        """Whether the CLI goes on by itself after a message: to check a structured answer, or to work."""
        return (self.structured or self.agent) and not self.ids

    def close(self) -> list[Event]:
        """Return the event that ends the open part, if there is one."""
        self._holding = False
        if self._open is not None and self._open.kind == "tool_call":
            self.stray = self.stray or not is_sound(self._open.name, "".join(self._arguments))
        return super().close()

    def release(self) -> list[Event]:
        """Return the events of the structured answer, if it was held back."""
        if not (self.structured and self._held):
            return []

        self.answered = True
        return complete_part(PartStarted(self._next, "text"), "".join(self._held))

    @property
    def holds_answer(self) -> bool:
        """Whether the model gave a structured answer at all."""
        return self.answered or bool(self._held)

    def _message(self, message: ApiMessage) -> list[Event]:
        super()._message(message)
        self._messages += 1
        self.silent = True
        if self._messages > 1:
            return []
        return [Started(message.model, self._live, self._queued, self.usage, self._replayed)]

    def _text(self, text: str) -> list[Event]:
        if self.structured:
            return []

        self.answered = True
        self.silent = self.silent and is_blank(text)
        self._texts += 1
        # An agent's texts come before and after its work, so each is a paragraph.
        apart = "\n\n" if self.agent and self._texts > 1 else ""
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
        call_id = formats.tool_ids.new()
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
