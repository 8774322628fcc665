"""Writes a Request as the body of ``POST /v1/messages``. Pure.

A structured answer is the input of a tool that the model must call. For a model that cannot be made to call a
tool, we use the API's newer parameter for schemas, which accepts fewer schemas.
"""

from __future__ import annotations

from typing import Any

import msgspec

from claude_max_proxy import Request
from claude_max_proxy.anthropic_messages import (
    Abilities,
    abilities_of,
    check_response_schema,
    check_tools,
    is_blank,
)
from claude_max_proxy.backends.anthropic_api.cache import mark
from claude_max_proxy.backends.anthropic_api.messages import write_messages
from claude_max_proxy.backends.anthropic_api.settings import AnthropicApiSettings
from claude_max_proxy.backends.anthropic_api.thinking import think, thinks
from claude_max_proxy.backends.anthropic_api.tools import (
    can_be_forced,
    names_of,
    write_choice,
    write_tools,
)


_encoder = msgspec.json.Encoder()
# What is honoured in ``Request.extra``, and the field of the body that it is copied to, if it is just copied.
NATIVE = {
    "anthropic_beta": "",
    "anthropic_metadata": "metadata",
    "anthropic_service_tier": "service_tier",
    "anthropic_thinking": "",
    "anthropic_tools": "",
    "context_management": "context_management",
    "top_k": "",
}
_COUNTED = ("model", "system", "messages", "tools", "tool_choice", "thinking", "output_config")


def write(request: Request, model: str, settings: AnthropicApiSettings) -> bytes:
    """Return the whole body, encoded; see :func:`compose`."""
    return _encoder.encode(compose(request, model, settings))


def compose(request: Request, model: str, settings: AnthropicApiSettings) -> dict[str, Any]:
    """Return the whole body, and name in ``request.ignored`` what the model does not accept.

    Raises :class:`InvalidRequest` for a request that this API cannot answer.
    """
    check_tools(request.tools)
    check_response_schema(request)
    abilities = abilities_of(model)
    body: dict[str, Any] = {"model": model, "max_tokens": request.max_tokens or settings.max_tokens}
    if not is_blank(request.system):
        body["system"] = [{"type": "text", "text": request.system}]
    names = names_of(request)
    if tools := write_tools(request, model, names):
        body["tools"] = tools
        body["tool_choice"] = write_choice(request, model, names)
    if request.stop:
        body["stop_sequences"] = request.stop
    think(body, request, settings, abilities)
    if request.response_schema is not None and not can_be_forced(model):
        form = {"type": "json_schema", "schema": request.response_schema}
        body["output_config"] = body.get("output_config", {}) | {"format": form}
    _sample(body, request, abilities)
    body["messages"] = write_messages(request.messages, names, thinking=thinks(body))
    body |= {NATIVE[name]: value for name, value in request.extra.items() if NATIVE.get(name)}
    body["stream"] = True
    if settings.cache:
        mark(body)
    return body


def write_count(request: Request, model: str, settings: AnthropicApiSettings) -> bytes:
    """Return the body of ``POST /v1/messages/count_tokens``: the input, without limits on the answer."""
    body = compose(request, model, settings)
    return _encoder.encode({name: body[name] for name in _COUNTED if name in body})


def headers(request: Request) -> dict[str, str]:
    """Return the headers for this request only: they name the beta features that the client asks for."""
    betas = request.extra.get("anthropic_beta")
    return {"anthropic-beta": ",".join(betas)} if betas else {}


# --- sampling


def _sample(body: dict[str, Any], request: Request, abilities: Abilities | None) -> None:
    """Add the sampling parameters that the model accepts; with thinking, it accepts none."""
    given = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": request.extra.get("top_k"),
    }
    given = {name: value for name, value in given.items() if value is not None}
    sampling = abilities.sampling if abilities else "all"
    if thinks(body) or sampling == "none":
        taken = {}
    elif sampling == "one" and "temperature" in given:
        taken = {name: value for name, value in given.items() if name != "top_p"}
    else:
        taken = given
    for name, value in given.items():
        if name not in taken and (value != 1 or name == "top_k"):  # 1 is the default of the others
            request.ignore(name)
    body |= taken
