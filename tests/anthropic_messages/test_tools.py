"""Tools in the form of the Messages API, and which of them it would refuse."""

from __future__ import annotations

from typing import Any

import pytest

from claude_max_proxy import InvalidRequest, Request, ResponseFormat, Tool
from claude_max_proxy.anthropic_messages import check_response_schema, check_tools, write_tool


def schema(**more: Any) -> dict[str, Any]:
    """Return an object's schema."""
    return {"type": "object", **more}


GOOD: list[dict[str, Any] | None] = [
    None,
    {},
    schema(properties={"x": True, "y": False, "z": {}}),
    schema(**{"$schema": "http://json-schema.org/draft-07/schema#", "$defs": {"a": schema()}}),
    schema(
        properties={"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}, "b.c-d_9": {"format": "unknown"}}
    ),
    schema(properties={"a": {"type": "object", "properties": {"城市": {"x-note": 1, "example": []}}}}),
    schema(patternProperties={"^.*$": {"type": "string"}}, required=[], additionalProperties=False),
]
BAD: list[tuple[dict[str, Any], str]] = [
    ({"properties": {}}, '"object"'),
    ({"type": "array", "items": {}}, '"object"'),
    ({"type": ["object"]}, '"object"'),
    ({"$ref": "#/$defs/a", "$defs": {"a": schema()}}, '"object"'),
    (schema(anyOf=[{"required": ["a"]}]), "'anyOf'"),
    (schema(oneOf=[]), "'oneOf'"),
    (schema(allOf=[{}]), "'allOf'"),
    (schema(required=None), "required"),
    (schema(properties={"a": {"type": "any"}}), "type"),
    (schema(properties={"a": {"items": [{}]}}), "items"),
    (schema(properties={"a": {"exclusiveMinimum": True}}), "exclusiveMinimum"),
    (schema(properties={"城市": {}}), "城市"),
    (schema(properties={"a" * 65: {}}), "aaa"),
    (schema(properties={"": {}}), "''"),
]


@pytest.mark.parametrize("parameters", GOOD)
def test_what_the_api_takes(parameters: dict[str, Any] | None) -> None:
    """A tool that is unusual, but valid, is passed on unchanged."""
    tool = Tool("a", parameters=parameters)
    check_tools([tool])
    assert write_tool(tool)["input_schema"] == (parameters or schema(properties={}))


@pytest.mark.parametrize(("parameters", "told"), BAD)
def test_what_the_api_refuses(parameters: dict[str, Any], told: str) -> None:
    """The refusal says which tool is wrong, by its position and its name, and what is wrong with it."""
    tools = [Tool("good", parameters=schema()), Tool("probe", parameters=parameters, path="functions[7]")]
    with pytest.raises(InvalidRequest) as refused:
        check_tools(tools)
    assert refused.value.param == "functions[7]"
    assert "'probe'" in refused.value.message
    assert told in refused.value.message


@pytest.mark.parametrize(
    ("names", "told"),
    [(("a", "b", "a"), "twice"), (("a", "b", "c" * 129), "129"), (("a", "b", ""), "no name")],
)
def test_names_that_the_api_refuses(names: tuple[str, ...], told: str) -> None:
    """A name that cannot be mapped unambiguously is refused."""
    with pytest.raises(InvalidRequest, match=told) as refused:
        check_tools([Tool(name) for name in names])
    assert refused.value.param == "tools[2]"


@pytest.mark.parametrize(("given", "told"), BAD)
def test_schemas_of_answers(given: dict[str, Any], told: str) -> None:
    """An answer's schema is the input schema of a tool for the API."""
    request = Request("m", response_schema=given, response_format=ResponseFormat(path="text.format.schema"))
    with pytest.raises(InvalidRequest, match=r"^text\.format\.schema: ") as refused:
        check_response_schema(request)
    assert told in refused.value.message
    check_response_schema(Request("m"))
