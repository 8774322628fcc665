"""Writes a Request as the body of ``POST /v1/messages``. Pure: values in, bytes out.

A structured answer is the input of a tool that the model must call. A model that cannot be made to call one
is asked in the API's newer way, which takes fewer schemas.
"""

from __future__ import annotations

from typing import Any

import msgspec

from claude_max_proxy import BeyondModel, InvalidRequest, Request
from claude_max_proxy.backends.anthropic_api.messages import write_messages
from claude_max_proxy.backends.anthropic_api.settings import AnthropicApiSettings
from claude_max_proxy.backends.anthropic_api.thinking import think, thinks
from claude_max_proxy.messages_api import Abilities, Block, abilities_of, is_blank


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
    """Write the whole body, see :func:`compose`."""
    return _encoder.encode(compose(request, model, settings))


def compose(request: Request, model: str, settings: AnthropicApiSettings) -> dict[str, Any]:
    """Make the whole body; names in ``request.ignored`` what the model does not take."""
    if request.agent is not None:
        raise InvalidRequest('only a backend of type "claude-cli" has an agent', param="model")

    abilities = abilities_of(model)
    body: dict[str, Any] = {"model": model, "max_tokens": request.max_tokens or settings.max_tokens}
    if not is_blank(request.system):
        body["system"] = [{"type": "text", "text": request.system}]
    if tools := _tools(request, model):
        body["tools"] = tools
        body["tool_choice"] = _tool_choice(request, model)
    if request.stop:
        body["stop_sequences"] = request.stop
    think(body, request, settings, abilities)
    if request.response_schema is not None and not _can_be_forced(model):
        form = {"type": "json_schema", "schema": _schema(request)}
        body["output_config"] = body.get("output_config", {}) | {"format": form}
    _sample(body, request, abilities)
    body["messages"] = write_messages(request.messages, thinking=thinks(body))
    body |= {NATIVE[name]: value for name, value in request.extra.items() if NATIVE.get(name)}
    body["stream"] = True
    if settings.cache:
        _mark(body)
    return body


def write_count(request: Request, model: str, settings: AnthropicApiSettings) -> bytes:
    """Write the body of ``POST /v1/messages/count_tokens``: what goes in, and nothing of what comes out."""
    body = compose(request, model, settings)
    return _encoder.encode({name: body[name] for name in _COUNTED if name in body})


def headers(request: Request) -> dict[str, str]:
    """Give the headers of this request's own: the features on trial that its client asks for."""
    betas = request.extra.get("anthropic_beta")
    return {"anthropic-beta": ",".join(betas)} if betas else {}


# --- tools


def answer_tool(request: Request, model: str = "") -> str:
    """Give the name of the tool whose input is the structured answer; empty where there is none."""
    choice = request.tool_choice
    if (
        request.response_schema is None
        or not _can_be_forced(model)
        or (_offers_tools(request) and choice.mode in {"required", "named"})
    ):
        return ""

    name, names = "answer", {tool.name for tool in request.tools}
    while name in names:
        name += "_"
    return name


def _offers_tools(request: Request) -> bool:
    return bool(request.tools or request.extra.get("anthropic_tools"))


def _can_be_forced(model: str) -> bool:
    abilities = abilities_of(model)
    return abilities is None or abilities.forced


def _tools(request: Request, model: str) -> list[Block]:
    tools = []
    for tool in request.tools:
        written: Block = {"name": tool.name, "input_schema": tool.parameters or {"type": "object"}}
        if tool.description:
            written["description"] = tool.description
        tools.append(written)
    tools += [dict(tool) for tool in request.extra.get("anthropic_tools", {}).values()]
    if name := answer_tool(request, model):
        tools.append({"name": name, "description": "Give the answer.", "input_schema": _schema(request)})
    return tools


def _schema(request: Request) -> dict[str, Any]:
    schema = request.response_schema or {}
    if schema.get("type", "object") != "object":
        path = "response_format.json_schema.schema"
        raise InvalidRequest(f"{path}: must be of type object at its root", param=path)
    return {"type": "object", **schema}


def _tool_choice(request: Request, model: str) -> Block:
    choice = request.tool_choice
    if choice.mode in {"named", "required"} and not _can_be_forced(model):
        raise BeyondModel(
            f'tool_choice: {model} cannot be made to call a tool; leave tool_choice at "auto" and ask for '
            "the call in the instructions, or choose another model",
            param="tool_choice",
        )
    if name := answer_tool(request, model):
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


def _sample(body: dict[str, Any], request: Request, abilities: Abilities | None) -> None:
    """Say how to sample, as far as the model takes it; thinking excludes it."""
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
