"""Writes a Request as the body of ``POST /v1/messages``. Pure: values in, bytes out.

The API has no answers by schema, so a structured answer is the input of a tool that the model must call.
"""

from __future__ import annotations

from typing import Any

import msgspec

from claude_max_proxy import InvalidRequest, Request, ToolResult
from claude_max_proxy.backends.anthropic_api.messages import Block, write_messages
from claude_max_proxy.backends.anthropic_api.settings import AnthropicApiSettings


_encoder = msgspec.json.Encoder()
_CACHE = {"type": "ephemeral"}
_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16_384, "xhigh": 32_768, "max": 49_152}
_SMALLEST_BUDGET = 1024


def write(request: Request, model: str, settings: AnthropicApiSettings) -> bytes:
    """Write the whole body; names in ``request.ignored`` what thinking leaves no room for."""
    if request.agent is not None:
        raise InvalidRequest('only a backend of type "claude-cli" has an agent', param="model")

    body: dict[str, Any] = {
        "model": model,
        "max_tokens": request.max_tokens or settings.max_tokens,
        "messages": write_messages(request.messages),
        "stream": True,
    }
    if request.system.strip():
        body["system"] = [{"type": "text", "text": request.system}]
    if tools := _tools(request):
        body["tools"] = tools
        body["tool_choice"] = _tool_choice(request)
    if request.stop:
        body["stop_sequences"] = request.stop
    _think(body, request, settings)
    _sample(body, request)
    if settings.cache:
        _mark(body)
    return _encoder.encode(body)


# --- tools


def answer_tool(request: Request) -> str:
    """Give the name of the tool whose input is the structured answer; empty where none is asked for."""
    choice = request.tool_choice
    if request.response_schema is None or (request.tools and choice.mode in {"required", "named"}):
        return ""

    name, names = "answer", {tool.name for tool in request.tools}
    while name in names:
        name += "_"
    return name


def _tools(request: Request) -> list[Block]:
    tools = []
    for tool in request.tools:
        written: Block = {"name": tool.name, "input_schema": tool.parameters or {"type": "object"}}
        if tool.description:
            written["description"] = tool.description
        tools.append(written)
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
        if not request.tools or choice.mode == "none":
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


# --- thinking and sampling


def _think(body: dict[str, Any], request: Request, settings: AnthropicApiSettings) -> None:
    """Let the model think, where it may: not when it is made to call a tool."""
    if settings.thinking == "off" or request.effort == "none":
        if request.effort not in {None, "none"}:
            request.ignore("reasoning_effort")
        return
    if body.get("tool_choice", {}).get("type") in {"any", "tool"}:
        return

    if settings.thinking == "adaptive":
        body["thinking"] = {"type": "adaptive"}
        if request.effort is not None:
            body["output_config"] = {"effort": "low" if request.effort == "minimal" else request.effort}
    else:
        _budget(body, request)


def _budget(body: dict[str, Any], request: Request) -> None:
    """Set a budget within the limit of the answer; without a limit of the client's, on top of ours.

    In the middle of a tool's use the API wants the thoughts before the call, signed, which no client has.
    """
    if request.messages and any(isinstance(part, ToolResult) for part in request.messages[-1].parts):
        return

    budget = _BUDGETS[request.effort or "medium"]
    if request.max_tokens is None:
        body["max_tokens"] += budget
    else:
        budget = min(budget, request.max_tokens // 2)
    if budget >= _SMALLEST_BUDGET:
        body["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _sample(body: dict[str, Any], request: Request) -> None:
    """Say how to sample; thinking excludes it."""
    for name in ("temperature", "top_p"):
        value = getattr(request, name)
        if value is not None and "thinking" in body:
            request.ignore(name)
        elif value is not None:
            body[name] = value
    if "top_k" in request.extra and "thinking" in body:
        request.ignore("top_k")
    elif "top_k" in request.extra:
        body["top_k"] = request.extra["top_k"]


# --- the prompt cache


def _mark(body: dict[str, Any]) -> None:
    """Mark up to where the next request will be the same: tools, system prompt, newest message."""
    ends = [body["tools"][-1]] if "tools" in body else []
    if "system" in body:
        ends.append(body["system"][-1])
    if body["messages"]:
        ends.append(body["messages"][-1]["content"][-1])
    for block in ends:
        block["cache_control"] = _CACHE
