"""Anthropic's Messages API, a built-in plugin."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from claude_max_proxy import ProxyError, RegisterDialect, Request, hookimpl
from claude_max_proxy.dialects.anthropic_messages.envelope import envelope, status
from claude_max_proxy.dialects.anthropic_messages.parameters import shown_thoughts
from claude_max_proxy.dialects.anthropic_messages.reading import read, read_count
from claude_max_proxy.dialects.anthropic_messages.schemas import CountRequest, MessagesRequest
from claude_max_proxy.dialects.anthropic_messages.writing import MessageWriter


_THOUGHTS = "anthropic_messages.thoughts"
_BETA = re.compile(r"[A-Za-z0-9._-]{1,100}")


class AnthropicMessages:
    """``POST /v1/messages`` and ``/v1/messages/count_tokens``, with and without ``/v1``."""

    name = "anthropic-messages"
    routes: tuple[str, ...] = ("/v1/messages", "/messages")
    body = MessagesRequest
    count_routes: tuple[str, ...] = ("/v1/messages/count_tokens", "/messages/count_tokens")
    count_body = CountRequest

    def read(self, body: bytes) -> Request:
        """Read a request for a message."""
        request, asked = read(body)
        request.state[_THOUGHTS] = shown_thoughts(asked)
        return request

    def read_headers(self, request: Request, headers: Mapping[str, str]) -> None:
        """Take note of the features on trial that the client asks for."""
        betas = [beta.strip() for beta in headers.get("anthropic-beta", "").split(",")]
        if known := [beta for beta in betas if _BETA.fullmatch(beta)]:
            request.extra["anthropic_beta"] = known

    def writer(self, request: Request) -> MessageWriter:
        """Begin the answer."""
        return MessageWriter(request.model, thoughts=request.state.get(_THOUGHTS, "all"))

    def error(self, error: ProxyError) -> bytes:
        """Write Anthropic's error envelope."""
        return msgspec.json.encode(envelope(error))

    def status(self, error: ProxyError) -> int:
        """Return the status that the API has for a failure."""
        return status(error)

    def read_count(self, body: bytes) -> Request:
        """Read a request for a count."""
        return read_count(body)

    def write_count(self, tokens: int) -> bytes:
        """Write a count."""
        return msgspec.json.encode({"input_tokens": tokens})


@hookimpl
def register_dialects(register: RegisterDialect) -> None:
    """Serve the Messages API."""
    register(AnthropicMessages())
