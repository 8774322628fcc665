"""OpenAI's chat completions API, a built-in plugin."""

from __future__ import annotations

import msgspec

from claude_max_proxy import ProxyError, RegisterDialect, formats, hookimpl
from claude_max_proxy.dialect import Dialect, Exchange
from claude_max_proxy.dialects.openai_chat.reading import read
from claude_max_proxy.dialects.openai_chat.schemas import ChatCompletionRequest
from claude_max_proxy.dialects.openai_chat.writing import ChatWriter


class OpenAIChat(Dialect):
    """``POST /v1/chat/completions``, with and without ``/v1``."""

    name = "openai-chat"
    routes: tuple[str, ...] = ("/v1/chat/completions", "/chat/completions")
    body = ChatCompletionRequest

    def open(self, body: bytes) -> Exchange:
        """Read the body of a chat completion request."""
        request, chat = read(body)
        options = chat.stream_options
        include_usage = bool(options and options.include_usage)
        legacy = bool(chat.functions) and not chat.tools
        request.answers = answers = chat.n or 1
        writer = ChatWriter(request.model, include_usage=include_usage, legacy=legacy, answers=answers)
        return Exchange(request, writer)

    def error(self, error: ProxyError) -> bytes:
        """Return an error in OpenAI's envelope."""
        return msgspec.json.encode(formats.envelope(error))


@hookimpl
def register_dialects(register: RegisterDialect) -> None:
    """Add the dialect of the chat completions API."""
    register(OpenAIChat())
