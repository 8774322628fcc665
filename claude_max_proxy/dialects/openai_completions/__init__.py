"""OpenAI's completions API, which is older than the one for chats, a built-in plugin."""

from __future__ import annotations

import msgspec

from claude_max_proxy import ProxyError, RegisterDialect, formats, hookimpl
from claude_max_proxy.dialect import Dialect, Exchange
from claude_max_proxy.dialects.openai_completions.reading import prompt_of, read
from claude_max_proxy.dialects.openai_completions.schemas import CompletionRequest
from claude_max_proxy.dialects.openai_completions.writing import CompletionWriter


class OpenAICompletions(Dialect):
    """``POST /v1/completions``, with and without ``/v1``."""

    name = "openai-completions"
    routes: tuple[str, ...] = ("/v1/completions", "/completions")
    body = CompletionRequest

    def open(self, body: bytes) -> Exchange:
        """Read the body of a request for a completion."""
        request, asked = read(body)
        options = asked.stream_options
        echo = prompt_of(asked) if asked.echo else ""
        include_usage = bool(options and options.include_usage)
        request.answers = answers = asked.n or 1
        writer = CompletionWriter(request.model, echo=echo, include_usage=include_usage, answers=answers)
        return Exchange(request, writer)

    def error(self, error: ProxyError) -> bytes:
        """Return an error in OpenAI's envelope."""
        return msgspec.json.encode(formats.envelope(error))


@hookimpl
def register_dialects(register: RegisterDialect) -> None:
    """Add the dialect of the completions API."""
    register(OpenAICompletions())
