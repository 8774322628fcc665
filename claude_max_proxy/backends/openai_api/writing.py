"""Writes a Request as the body of ``POST /chat/completions``. Pure: values in, bytes out."""

from __future__ import annotations

from typing import Any

import msgspec

from claude_max_proxy import InvalidRequest, Request, Tool, ToolChoice
from claude_max_proxy.backends.openai_api.messages import write_messages
from claude_max_proxy.backends.openai_api.settings import CONTENT, OpenAIApiSettings


_encoder = msgspec.json.Encoder()
_ANY_OBJECT = ({"type": "object"}, {"type": "object", "additionalProperties": True})
_MODES: dict[str, str] = {"auto": "auto", "none": "none", "required": "required"}


def write(request: Request, model: str, settings: OpenAIApiSettings) -> bytes:
    """Write the whole body, see :func:`compose`."""
    return _encoder.encode(compose(request, model, settings))


def compose(request: Request, model: str, settings: OpenAIApiSettings) -> dict[str, Any]:
    """Make the whole body; what the request does not set is left to the server."""
    if request.agent is not None:
        raise InvalidRequest('only a backend of type "claude-cli" has an agent', param="model")

    body: dict[str, Any] = {
        "model": model,
        "messages": write_messages(request, reasoning=settings.hand_back_reasoning),
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
        _add_tools(body, request.tools, request.tool_choice)
    if request.response_schema is not None:
        body["response_format"] = response_format(request.response_schema)
    return body | settings.extra_body


def _limit(request: Request, model: str, settings: OpenAIApiSettings) -> int | None:
    """Give the limit of the answer, within what the model can; clients of other models ask for more."""
    facts = settings.models.get(model)
    most = facts.max_output_tokens if facts else None
    return min(request.max_tokens, most) if request.max_tokens and most else request.max_tokens


def _add_tools(body: dict[str, Any], tools: list[Tool], choice: ToolChoice) -> None:
    """Add the tools; what is the API's default is not said, as not every server knows it."""
    body["tools"] = [_tool(tool) for tool in tools]
    if choice.mode == "named":
        body["tool_choice"] = {"type": "function", "function": {"name": choice.name}}
    elif choice.mode != "auto":
        body["tool_choice"] = _MODES[choice.mode]
    if not choice.parallel:
        body["parallel_tool_calls"] = False


def _tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    if tool.parameters:
        function["parameters"] = tool.parameters
    if tool.strict:
        function["strict"] = True
    return {"type": "function", "function": function}


def response_format(schema: dict[str, Any]) -> dict[str, Any]:
    """Ask for JSON: any object, or one of a schema, which is enforced where the API can enforce it."""
    if schema in _ANY_OBJECT:
        return {"type": "json_object"}

    named = {"name": "answer", "schema": schema, "strict": _is_closed(schema)}
    return {"type": "json_schema", "json_schema": named}


def _is_closed(schema: Any) -> bool:
    """Whether every object in a schema requires all that it names and allows no more: else "strict" fails."""
    if isinstance(schema, list):
        return all(_is_closed(item) for item in schema)
    if not isinstance(schema, dict):
        return True

    properties = schema.get("properties", {})
    if schema.get("type") == "object" or properties:
        required = schema.get("required", [])
        if schema.get("additionalProperties") is not False or set(required) != set(properties):
            return False
    return all(_is_closed(value) for value in schema.values())
