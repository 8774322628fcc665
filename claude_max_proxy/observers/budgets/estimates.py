"""Estimates in microseconds what a request will use: by its length, and by what was learned."""

from __future__ import annotations

import msgspec

from claude_max_proxy import (
    Message,
    Part,
    Reasoning,
    Record,
    Request,
    Text,
    ToolCall,
    ToolResult,
    Usage,
)


_CHARACTERS_PER_TOKEN = 4
_ANYTHING_ELSE = 1600  # tokens of an image or a document, roughly
_UNKNOWN_ANSWER = 1000  # tokens of an answer of a model that has not answered yet
_WEIGHT = 0.2  # of the newest answer in the average
_MOST_MODELS = 500


class _Average(msgspec.Struct):
    """How long a model's answers are, and how much longer its prompts are than what was counted of them."""

    answer: float = _UNKNOWN_ANSWER
    more: float = 0.0


class Estimates:
    """Remembers what each model's requests use on average. The number of models is bounded."""

    def __init__(self) -> None:
        """Begin without experience."""
        self._averages: dict[str, _Average] = {}

    def learn(self, record: Record, length: int) -> None:
        """Learn from a finished request; ``length`` is what was counted of its prompt, in tokens."""
        usage = record.usage
        if usage is None:
            return
        if record.upstream_model not in self._averages and len(self._averages) >= _MOST_MODELS:
            self._averages.clear()
        answer, more = float(usage.output_tokens), float(max(usage.prompt_tokens - length, 0))
        known = self._averages.setdefault(record.upstream_model, _Average(answer, more))
        known.answer += _WEIGHT * (answer - known.answer)
        known.more += _WEIGHT * (more - known.more)

    def of(self, request: Request, upstream_model: str) -> tuple[Usage, int]:
        """Return what a request will use, and how much of that was counted in the request itself.

        Its answer is taken to be of average length, or as long as it may be.
        """
        if request.path.endswith("/count_tokens"):
            return Usage(), 0
        known = self._averages.get(upstream_model) or _Average()
        answer = min(known.answer, request.max_tokens or known.answer)
        if request.path.endswith("/embeddings"):
            answer = 0.0
        characters = len(request.system) + sum(len(tool.description or "") for tool in request.tools)
        length = sum(map(_message, request.messages)) + characters // _CHARACTERS_PER_TOKEN
        return Usage(length + round(known.more), round(answer)), length


def _message(message: Message) -> int:
    return sum(map(_part, message.parts))


def _part(part: Part) -> int:
    match part:
        case Text(text) | Reasoning(text):
            return len(text) // _CHARACTERS_PER_TOKEN
        case ToolCall():
            return len(part.arguments) // _CHARACTERS_PER_TOKEN
        case ToolResult():
            return sum(map(_part, part.parts))
        case _:
            return _ANYTHING_ELSE
