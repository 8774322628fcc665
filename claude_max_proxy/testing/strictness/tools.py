"""Checks tools and the choice among them.

Sources: github.com/modelcontextprotocol/modelcontextprotocol/issues/1345 (names),
tailcallhq/forgecode/issues/892 (names that are not unique), anthropics/claude-code/issues/5319 (combinators
at the root), acomagu/vscode-as-mcp-server/issues/6 (the draft), aws-solutions-library-samples/
accelerated-intelligent-document-processing-on-aws/issues/709 (names of properties, at the root alone),
vercel/ai/issues/20681 (strict); can1357/oh-my-pi/issues/341 (thinking and a forced tool) and /12939 (models
that refuse a forced tool).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from claude_max_proxy.testing.strictness.content import Body
from claude_max_proxy.testing.strictness.dialect import is_schema
from claude_max_proxy.testing.strictness.fields import TOOL, TOOL_CHOICE
from claude_max_proxy.testing.strictness.models import model_of
from claude_max_proxy.testing.strictness.output_schemas import check_output_schema
from claude_max_proxy.testing.strictness.shapes import Betas, check_fields, check_tagged, tag_of


_NAME = "[a-zA-Z0-9_-]{1,128}"
_PROPERTY = "[a-zA-Z0-9_.-]{1,64}"
_DRAFT = (
    "JSON schema is invalid. It must match JSON Schema draft 2020-12 "
    "(https://json-schema.org/draft/2020-12). "
    "Learn more about tool use at https://docs.claude.com/en/docs/tool-use."
)


def check_tools(body: Body, betas: Betas) -> Iterator[str]:
    """Yield errors for definitions that the API refuses; tools that the provider runs are not checked."""
    tools = body.get("tools", [])
    for place, tool in enumerate(tools):
        if tag_of(tool) in (None, "custom"):
            path = f"tools.{place}.custom"
            faults = list(check_fields(tool, TOOL, path, betas))
            yield from faults or _check_tool(tool, path)
    names = [tool.get("name") for tool in tools if isinstance(tool, dict) and "name" in tool]
    if any(name in names[:place] for place, name in enumerate(names)):
        yield "tools: Tool names must be unique."


def _check_tool(tool: dict[str, Any], path: str) -> Iterator[str]:
    if not re.fullmatch(_NAME, tool["name"]):
        yield f"{path}.name: String should match pattern '^{_NAME}$'"
    schema = tool["input_schema"]
    yield from _check_input(schema, f"{path}.input_schema")
    if tool.get("strict") is True and is_schema(schema):
        yield from (f"{path}: {message}" for message in check_output_schema(schema))


def _check_input(schema: dict[str, Any], path: str) -> Iterator[str]:
    if "type" not in schema:
        yield f"{path}.type: Field required"
    elif schema["type"] != "object":
        yield f"{path}.type: Input should be 'object'"
    if schema.keys() & {"oneOf", "allOf", "anyOf"}:
        yield f"{path}: input_schema does not support oneOf, allOf, or anyOf at the top level"
    if not is_schema(schema):
        yield f"{path}: {_DRAFT}"
        return
    if not all(re.fullmatch(_PROPERTY, name) for name in schema.get("properties", {})):
        yield f"{path}.properties: Property keys should match pattern '^{_PROPERTY}$'"


def check_tool_choice(body: Body, betas: Betas) -> Iterator[str]:
    """Yield errors for a choice without a valid tool, or one that thinking or the model does not allow."""
    choice = body.get("tool_choice")
    if choice is None:
        return
    faults = list(check_tagged(choice, TOOL_CHOICE, "tool_choice", betas))
    yield from faults
    if faults:
        return
    tools = body.get("tools", [])
    if not tools and choice["type"] != "none":
        yield "tool_choice: tool_choice may only be specified while providing tools"
    if choice["type"] == "tool" and choice["name"] not in [tool.get("name") for tool in tools]:
        yield f"tool_choice: Tool '{choice['name']}' not found in provided tools"
    if choice["type"] in ("any", "tool"):
        yield from _check_forced(body)


def _check_forced(body: Body) -> Iterator[str]:
    model = model_of(body["model"])
    if model and not model.forced_tools:
        yield 'tool_choice: type "tool" and "any" are not supported for this model.'
    if tag_of(body.get("thinking")) not in (None, "disabled"):
        yield "Thinking may not be enabled when tool_choice forces tool use."
