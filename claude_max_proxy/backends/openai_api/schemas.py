"""The answers of an OpenAI-compatible server, as typed structs of the fields we read; others are ignored."""

from __future__ import annotations

from typing import Any

import msgspec


class Function(msgspec.Struct):
    """The function of a call, or a fragment of it; some servers send the arguments as an object."""

    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class CallDelta(msgspec.Struct):
    """A fragment of one call."""

    index: int | None = None
    id: str | None = None
    function: Function | None = None


class Delta(msgspec.Struct):
    """What a chunk adds to the answer, or a whole message; servers use two names for reasoning."""

    content: str | list[Any] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[CallDelta] | None = None


class Choice(msgspec.Struct):
    """The answer, of which we ask for one: a part of it (``delta``), or all of it (``message``)."""

    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None


class PromptDetails(msgspec.Struct):
    """How many of the prompt's tokens were read from the cache and written to it."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class CompletionDetails(msgspec.Struct):
    """How many of the answer's tokens were used for reasoning."""

    reasoning_tokens: int | None = None


class WireUsage(msgspec.Struct):
    """The numbers of tokens; the prompt's include the cached ones."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None


class Chunk(msgspec.Struct):
    """One event of a stream, a whole answer, or an error."""

    model: str | None = None
    choices: list[Choice] | None = None
    usage: WireUsage | None = None
    error: Any = None
    object: str | None = None
    message: str | None = None
    code: int | str | None = None
