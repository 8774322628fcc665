"""OpenAI's completions API, from before there were chats, a built-in plugin."""

from __future__ import annotations

import msgspec

from claude_max_proxy import ProxyError, RegisterDialect, Request, hookimpl, wire
from claude_max_proxy.dialects.openai_completions.reading import prompt_of, read
from claude_max_proxy.dialects.openai_completions.schemas import CompletionRequest
from claude_max_proxy.dialects.openai_completions.writing import CompletionWriter


_OPTIONS = "openai_completions"


class OpenAICompletions:
    """``POST /v1/completions``, with and without ``/v1``."""

    name = "openai-completions"
    routes: tuple[str, ...] = ("/v1/completions", "/completions")
    body = CompletionRequest

    def read(self, body: bytes) -> Request:
        """Read a request for a completion."""
        request, asked = read(body)
        options = asked.stream_options
        request.state[_OPTIONS] = {
            "echo": prompt_of(asked) if asked.echo else "",
            "include_usage": bool(options and options.include_usage),
        }
        return request

    def writer(self, request: Request) -> CompletionWriter:
        """Begin the answer."""
        return CompletionWriter(request.model, **request.state.get(_OPTIONS, {}))

    def error(self, error: ProxyError) -> bytes:
        """Write OpenAI's error envelope."""
        return msgspec.json.encode(wire.envelope(error))


@hookimpl
def register_dialects(register: RegisterDialect) -> None:
    """Serve the completions API."""
    register(OpenAICompletions())
