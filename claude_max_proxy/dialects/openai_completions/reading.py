"""Reads the body of a completion into a :class:`Request`, with its prompt as a user message. Pure."""

from __future__ import annotations

import msgspec

from claude_max_proxy import InvalidRequest, Message, Request, Text, formats
from claude_max_proxy.capabilities import carry_parameters
from claude_max_proxy.dialects.openai_completions.schemas import CompletionRequest


_decoder = msgspec.json.Decoder(CompletionRequest)


def read(body: bytes) -> tuple[Request, CompletionRequest]:
    """Read a body; return the request, and the decoded body for the writer.

    Raises :class:`InvalidRequest` with the path of the first field that is wrong.
    """
    unknown: list[str] = []
    asked = formats.decode(_decoder, body, unknown)
    _refuse(asked)
    request = Request(asked.model, stream=bool(asked.stream), ignored=unknown)
    request.messages.append(Message("user", [Text(prompt_of(asked))]))
    carry_parameters(request, msgspec.structs.asdict(asked))
    request.max_tokens = asked.max_tokens or None
    request.stop = formats.read_stops(asked.stop, "stop", request)
    request.temperature, request.top_p = asked.temperature, asked.top_p
    return request, asked


def prompt_of(asked: CompletionRequest) -> str:
    """Return the prompt. Raises :class:`InvalidRequest` unless there is exactly one."""
    prompts = [asked.prompt] if isinstance(asked.prompt, str) else asked.prompt
    if prompts and not all(isinstance(prompt, str) for prompt in prompts):
        raise InvalidRequest.at("prompt", "tokens cannot be read here; send text")
    if len(prompts) != 1:
        raise InvalidRequest.at("prompt", "one prompt per request; ask again for another")

    return str(prompts[0])


def _refuse(asked: CompletionRequest) -> None:
    if asked.suffix:
        raise formats.unsupported("suffix", "chat models do not fill in the middle of a text")
    if asked.logprobs is not None and asked.logprobs is not False:
        raise formats.unsupported("logprobs", "answers come without token probabilities")
    if (asked.best_of or 1) > (asked.n or 1):
        raise formats.unsupported("best_of", "without token probabilities, no answer can be called the best")
