"""Writes a Request as the body of ``POST /v1/messages``. Pure: values in, bytes out.

The API has no answers by schema, so a structured answer is the input of a tool that the model must call.
"""

from __future__ import annotations

from typing import Any

import msgspec

from claude_max_proxy import InvalidRequest, Request
from claude_max_proxy.backends.anthropic_api.messages import write_messages
from claude_max_proxy.backends.anthropic_api.settings import AnthropicApiSettings
from claude_max_proxy.backends.anthropic_api.thinking import think
from claude_max_proxy.messages_api import Block, is_blank


_encoder = msgspec.json.Encoder()
_CACHE = {"type": "ephemeral"}
# What a request carries in ``extra`` that goes along: the body's own name, where it is simply passed on.
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
    """Write the whole body; names in ``request.ignored`` what thinking leaves no room for."""
    if request.agent is not None:
        raise InvalidRequest('only a backend of type "claude-cli" has an agent', param="model")

    body: dict[str, Any] = {"model": model, "max_tokens": request.max_tokens or settings.max_tokens}
    if not is_blank(request.system):
        body["system"] = [{"type": "text", "text": request.system}]
    if tools := _tools(request):
        body["tools"] = tools
        body["tool_choice"] = _tool_choice(request)
    if request.stop:
        body["stop_sequences"] = request.stop
    think(body, request, settings)
    _sample(body, request)
    body["messages"] = write_messages(request.messages, thinking="thinking" in body)
    body |= {NATIVE[name]: value for name, value in request.extra.items() if NATIVE.get(name)}
    body["stream"] = True
    if settings.cache:
        _mark(body)
    return _encoder.encode(body)


def write_count(request: Request, model: str, settings: AnthropicApiSettings) -> bytes:
    """Write the body of ``POST /v1/messages/count_tokens``: what goes in, and nothing of what comes out."""
    body = msgspec.json.decode(write(request, model, settings))
    return _encoder.encode({name: body[name] for name in _COUNTED if name in body})


def headers(request: Request) -> dict[str, str]:
    """Give the headers of this request's own: the features on trial that its client asks for."""
    betas = request.extra.get("anthropic_beta")
    return {"anthropic-beta": ",".join(betas)} if betas else {}


# --- tools


def answer_tool(request: Request) -> str:
    """Give the name of the tool whose input is the structured answer; empty where none is asked for."""
    choice = request.tool_choice
    if request.response_schema is None or (_offers_tools(request) and choice.mode in {"required", "named"}):
        return ""

    name, names = "answer", {tool.name for tool in request.tools}
    while name in names:
        name += "_"
    return name


def _offers_tools(request: Request) -> bool:
    return bool(request.tools or request.extra.get("anthropic_tools"))


def _tools(request: Request) -> list[Block]:
    tools = []
    for tool in request.tools:
        written: Block = {"name": tool.name, "input_schema": tool.parameters or {"type": "object"}}
        if tool.description:
            written["description"] = tool.description
        tools.append(written)
    tools += [dict(tool) for tool in request.extra.get("anthropic_tools", {}).values()]
    if name := answer_tool(request):
        tools.append({"name": name, "description": "Give the answer.", "input_schema": _schema(request)})
    return tools


def _schema(request: Request) -> dict[str, Any]:
    schema = request.response_schema or {}
    if schema.get("type", "object") != "object":
        path = "response_format.json_schema.schema"
        raise InvalidRequest(f"{path}: must be of type object at its root", param=path)
    return {"type": "object", **schema}


def _tool_choice(request: Request) -> Block:
    choice = request.tool_choice
    if name := answer_tool(request):
        if not _offers_tools(request) or choice.mode == "none":
            return {"type": "tool", "name": name, "disable_parallel_tool_use": True}
        return {"type": "any", "disable_parallel_tool_use": True}  # one of the client's, or the answer

    match choice.mode:
        case "none":
            return {"type": "none"}
        case "named":
            written: Block = {"type": "tool", "name": choice.name}
        case "required":
            written = {"type": "any"}
        case _:
            written = {"type": "auto"}
    if not choice.parallel:
        written["disable_parallel_tool_use"] = True
    return written


# --- sampling


def _sample(body: dict[str, Any], request: Request) -> None:
    """Say how to sample; thinking excludes it."""
    given = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": request.extra.get("top_k"),
    }
    for name, value in given.items():
        if value is not None and "thinking" in body:
            request.ignore(name)
        elif value is not None:
            body[name] = value


# --- the prompt cache


def _mark(body: dict[str, Any]) -> None:
    """Mark up to where the next request will be the same: tools, system prompt, newest message."""
    ends = [body["tools"][-1]] if "tools" in body else []
    if "system" in body:
        ends.append(body["system"][-1])
    if body["messages"]:
        content = body["messages"][-1]["content"]
        ends += [block for block in content if "thinking" not in block["type"]][-1:]  # which take no mark
    for block in ends:
        block["cache_control"] = _CACHE
