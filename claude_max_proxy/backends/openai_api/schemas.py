"""What an OpenAI-compatible server answers: typed structs of what is read, everything else tolerated."""

from __future__ import annotations

from typing import Any

import msgspec


class Function(msgspec.Struct):
    """A fragment of a call; some servers give the arguments as an object."""

    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class CallDelta(msgspec.Struct):
    """A fragment of one of the calls."""

    index: int | None = None
    id: str | None = None
    function: Function | None = None


class Delta(msgspec.Struct):
    """What a chunk adds to the answer, or a whole message; reasoning goes by two names."""

    content: str | list[Any] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[CallDelta] | None = None


class Choice(msgspec.Struct):
    """The one answer, in part (``delta``) or whole (``message``)."""

    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None


class PromptDetails(msgspec.Struct):
    """What became of the prompt's tokens."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class CompletionDetails(msgspec.Struct):
    """What became of the answer's tokens."""

    reasoning_tokens: int | None = None


class WireUsage(msgspec.Struct):
    """Tokens; the prompt's include the cached ones."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None


class Chunk(msgspec.Struct):
    """One event of a stream, or a whole answer."""

    model: str | None = None
    choices: list[Choice] | None = None
    usage: WireUsage | None = None
    error: Any = None
    object: str | None = None
    message: str | None = None
    code: int | str | None = None
