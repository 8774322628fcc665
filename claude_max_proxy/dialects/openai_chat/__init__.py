"""OpenAI's chat completions API, a built-in plugin."""

from __future__ import annotations

import msgspec

from claude_max_proxy import ProxyError, RegisterDialect, Request, hookimpl, wire
from claude_max_proxy.dialects.openai_chat.reading import read
from claude_max_proxy.dialects.openai_chat.schemas import ChatCompletionRequest
from claude_max_proxy.dialects.openai_chat.writing import ChatWriter


_OPTIONS = "openai_chat"


class OpenAIChat:
    """``POST /v1/chat/completions``, with and without ``/v1``."""

    name = "openai-chat"
    routes: tuple[str, ...] = ("/v1/chat/completions", "/chat/completions")
    body = ChatCompletionRequest

    def read(self, body: bytes) -> Request:
        """Read a chat completion request."""
        request, chat = read(body)
        options = chat.stream_options
        request.state[_OPTIONS] = {
            "include_usage": bool(options and options.include_usage),
            "legacy": bool(chat.functions) and not chat.tools,
        }
        return request

    def writer(self, request: Request) -> ChatWriter:
        """Begin the answer."""
        return ChatWriter(request.model, **request.state.get(_OPTIONS, {}))

    def error(self, error: ProxyError) -> bytes:
        """Write OpenAI's error envelope."""
        return msgspec.json.encode(wire.envelope(error))


@hookimpl
def register_dialects(register: RegisterDialect) -> None:
    """Serve the chat completions API."""
    register(OpenAIChat())
