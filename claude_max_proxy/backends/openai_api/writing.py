"""Writes a Request as the body of ``POST /chat/completions``. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from claude_max_proxy import Request
from claude_max_proxy.backends.openai_api.messages import write_messages
from claude_max_proxy.backends.openai_api.response_format import response_format
from claude_max_proxy.backends.openai_api.settings import CONTENT, OpenAIApiSettings
from claude_max_proxy.backends.openai_api.tools import add_tools, names_of


_encoder = msgspec.json.Encoder()


def write(request: Request, model: str, settings: OpenAIApiSettings) -> bytes:
    """Return the whole body, encoded; see :func:`compose`."""
    return _encoder.encode(compose(request, model, settings))


def compose(request: Request, model: str, settings: OpenAIApiSettings) -> dict[str, Any]:
    """Return the whole body; what the request does not set is left to the server.

    Raises :class:`InvalidRequest` for a request that this API cannot answer.
    """
    names = names_of(request)
    body: dict[str, Any] = {
        "model": model,
        "messages": write_messages(request, names, reasoning=settings.hand_back_reasoning),
        "stream": True,
    }
    if settings.include_usage:
        body["stream_options"] = {"include_usage": True}
    optional = {
        settings.max_tokens_field: _limit(request, model, settings),
        "stop": request.stop or None,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "reasoning_effort": "xhigh" if request.effort == "max" else request.effort,
    }
    body |= {name: value for name, value in optional.items() if value is not None}
    honoured = settings.honoured - CONTENT
    body |= {name: value for name, value in request.extra.items() if name in honoured}
    if request.tools:
        add_tools(body, request, names)
    if request.response_schema is not None:
        body["response_format"] = response_format(request.response_schema, request.response_format)
    return body | settings.extra_body


def _limit(request: Request, model: str, settings: OpenAIApiSettings) -> int | None:
    """Return the limit on the answer's tokens, at most what the model can write.

    Clients that were made for another model may ask for more.
    """
    facts = settings.models.get(model)
    most = facts.max_output_tokens if facts else None
    return min(request.max_tokens, most) if request.max_tokens and most else request.max_tokens
