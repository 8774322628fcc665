"""Anthropic's Messages API, a built-in plugin."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from claude_max_proxy import ProxyError, RegisterDialect, Request, hookimpl
from claude_max_proxy.dialect import Dialect, Exchange
from claude_max_proxy.dialects.anthropic_messages.envelope import envelope, status
from claude_max_proxy.dialects.anthropic_messages.parameters import shown_thoughts
from claude_max_proxy.dialects.anthropic_messages.reading import read, read_count
from claude_max_proxy.dialects.anthropic_messages.schemas import CountRequest, MessagesRequest
from claude_max_proxy.dialects.anthropic_messages.writing import MessageWriter


_BETA = re.compile(r"[A-Za-z0-9._-]{1,100}")


class AnthropicMessages(Dialect):
    """``POST /v1/messages`` and ``/v1/messages/count_tokens``, with and without ``/v1``."""

    name = "anthropic-messages"
    routes: tuple[str, ...] = ("/v1/messages", "/messages")
    body = MessagesRequest
    count_routes: tuple[str, ...] = ("/v1/messages/count_tokens", "/messages/count_tokens")
    count_body = CountRequest

    def open(self, body: bytes) -> Exchange:
        """Read the body of a request for a message."""
        request, asked = read(body)
        return Exchange(request, MessageWriter(request.model, thoughts=shown_thoughts(asked)))

    def read_headers(self, request: Request, headers: Mapping[str, str]) -> None:
        """Add the beta features that the client asks for to ``request``."""
        betas = [beta.strip() for beta in headers.get("anthropic-beta", "").split(",")]
        if known := [beta for beta in betas if _BETA.fullmatch(beta)]:
            request.extra["anthropic_beta"] = known

    def error(self, error: ProxyError) -> bytes:
        """Return an error in Anthropic's envelope."""
        return msgspec.json.encode(envelope(error))

    def status(self, error: ProxyError) -> int:
        """Return the HTTP status that the API uses for an error."""
        return status(error)

    def read_count(self, body: bytes) -> Request:
        """Read the body of a request to count tokens."""
        return read_count(body)

    def write_count(self, tokens: int) -> bytes:
        """Return the body of the answer with a count."""
        return msgspec.json.encode({"input_tokens": tokens})


@hookimpl
def register_dialects(register: RegisterDialect) -> None:
    """Add the dialect of the Messages API."""
    register(AnthropicMessages())
