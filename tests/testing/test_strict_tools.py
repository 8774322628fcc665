"""What the scripted API refuses in tools, the choice among them, and schemas that are enforced."""

from __future__ import annotations

from typing import Any

import pytest

from tests.judging import Case, judge, rule_of


DRAFT = (
    "JSON schema is invalid. It must match JSON Schema draft 2020-12 "
    "(https://json-schema.org/draft/2020-12). "
    "Learn more about tool use at https://docs.claude.com/en/docs/tool-use."
)
PATH = "tools.0.custom"
COMBINED = "input_schema does not support oneOf, allOf, or anyOf at the top level"
ADAPTIVE = {"thinking": {"type": "adaptive"}}
SONNET, OPUS = {"model": "claude-sonnet-4-6"}, {"model": "claude-opus-5-5"}
CLOSED = {"type": "object", "additionalProperties": False}


def tool(name: str = "look", schema: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Return a tool."""
    return {"name": name, "input_schema": {"type": "object", **(schema or {})}, **more}


def having(*tools: dict[str, Any], **choice: Any) -> dict[str, Any]:
    """Return the change that offers these tools, and chooses."""
    return {"tools": list(tools)} | ({"tool_choice": choice} if choice else {})


def taking(**schema: Any) -> dict[str, Any]:
    """Return the change that offers one tool with a schema with these keywords."""
    return having(tool(schema=schema))


def answering(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the change that asks for an answer with this schema."""
    return {"output_config": {"format": {"type": "json_schema", "schema": schema}}}


def holding(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the change that asks for an object with one field of this schema."""
    return answering(CLOSED | {"properties": {"a": schema}})


def name_is(name: str) -> str:
    """Return the API's words about the names of tools."""
    return f"{name}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"


TOOLS = [
    Case(name_is(PATH), having(tool("a.b")), having(tool("a_b"))),
    Case(name_is(PATH), having(tool("")), having(tool("a"))),
    Case(name_is("tools.1.custom"), having(tool(), tool("a" * 129)), having(tool(), tool("a" * 128))),
    Case(name_is(PATH), having(tool("a\n")), having(tool("a"))),
    Case("tools: Tool names must be unique.", having(tool(), tool()), having(tool(), tool("Look"))),
    Case(
        f"{PATH}.input_schema.type: Field required",
        having({"name": "look", "input_schema": {}}),
        having(tool()),
    ),
    Case(f"{PATH}.input_schema.type: Input should be 'object'", taking(type="array"), taking(type="object")),
    Case(
        f"{PATH}.input_schema.type: Input should be 'object'",
        taking(type=["object", "null"]),
        taking(type="object"),
    ),
    *[
        Case(
            f"{PATH}.input_schema: {COMBINED}", taking(**{name: [{}]}), taking(properties={"a": {name: [{}]}})
        )
        for name in ("oneOf", "allOf", "anyOf")
    ],
    *[
        Case(f"{PATH}.input_schema: {DRAFT}", taking(properties={"a": bad}), taking(properties={"a": good}))
        for bad, good in (
            ({"type": "any"}, {"type": "string"}),
            ({"items": [{}]}, {"items": {}}),
            ({"exclusiveMinimum": True}, {"exclusiveMinimum": 1}),
            ({"type": "string", "required": True}, {"type": "string", "required": []}),
            ({"enum": "a"}, {"enum": ["a", "a"]}),
            ({"minLength": -1}, {"minLength": 0}),
            ("string", True),
        )
    ],
    Case(f"{PATH}.input_schema: {DRAFT}", taking(required=None), taking(required=[], example={"x-a": None})),
    Case(f"{PATH}.input_schema: {DRAFT}", taking(required=["a", "a"]), taking(required=["a"])),
    *[
        Case(
            f"{PATH}.input_schema.properties: Property keys should match pattern '^[a-zA-Z0-9_.-]{{1,64}}$'",
            taking(properties={name: {}}),
            taking(properties={"a.b-c_D0": {"type": "object", "properties": {name: {}}}}),
        )
        for name in ("a b", "$filter", "größe", "", "a" * 65)
    ],
    Case(
        f"{PATH}.returns: Extra inputs are not permitted",
        having(tool(returns={})),
        having(tool(strict=False)),
    ),
    Case(
        f"{PATH}.description: Input should be a valid string",
        having(tool(description=None)),
        having(tool(description="")),
    ),
    Case(f"{PATH}.input_schema: Field required", having({"name": "look"}), having(tool())),
]
CHOICES = [
    Case(
        "tool_choice: Tool 'see' not found in provided tools",
        having(tool(), type="tool", name="see"),
        having(tool(), type="tool", name="look"),
    ),
    Case(
        "tool_choice: tool_choice may only be specified while providing tools",
        {"tool_choice": {"type": "auto"}},
        {"tool_choice": {"type": "none"}},
    ),
    Case("tool_choice.tool.name: Field required", having(tool(), type="tool"), having(tool(), type="any")),
    Case(
        "tool_choice: Input tag 'required' found using 'type' does not match any of the expected tags: "
        "'any', 'auto', 'none', 'tool'",
        having(tool(), type="required"),
        having(tool(), type="any"),
    ),
    *[
        Case(
            "Thinking may not be enabled when tool_choice forces tool use.",
            SONNET | ADAPTIVE | having(tool(), **forced),
            SONNET | ADAPTIVE | having(tool(), type="auto"),
        )
        for forced in ({"type": "any"}, {"type": "tool", "name": "look"})
    ],
    Case(
        "Thinking may not be enabled when tool_choice forces tool use.",
        SONNET | ADAPTIVE | having(tool(), type="any"),
        SONNET | {"thinking": {"type": "disabled"}} | having(tool(), type="any"),
    ),
    Case(
        'tool_choice: type "tool" and "any" are not supported for this model.',
        OPUS | having(tool(), type="any"),
        OPUS | having(tool(), type="auto"),
    ),
]
SCHEMA = "output_config.format.schema"
OPEN = "For 'object' type, 'additionalProperties' must be explicitly set to false"
SCHEMAS = [
    Case(f"{SCHEMA}: {OPEN}", answering({"type": "object"}), answering(CLOSED)),
    Case(f"{SCHEMA}: {OPEN}", holding({"type": "object"}), holding(CLOSED)),
    Case(
        f"{SCHEMA}: For 'object' type, 'additionalProperties: true' is not supported. "
        "Please set 'additionalProperties' to false",
        answering({"type": "object", "additionalProperties": True}),
        answering(CLOSED),
    ),
    Case(
        f"{SCHEMA}: For 'integer' type, properties maximum, minimum are not supported",
        holding({"type": "integer", "minimum": 1, "maximum": 2}),
        holding({"type": "integer", "description": "1 or 2"}),
    ),
    Case(
        f"{SCHEMA}: For 'string' type, property 'maxLength' is not supported",
        holding({"type": "string", "maxLength": 2}),
        holding({"type": "string", "pattern": "^a$"}),
    ),
    Case(
        f"{SCHEMA}: For 'array' type, 'minItems' values other than 0 or 1 are not supported",
        holding({"type": "array", "items": {"type": "string"}, "minItems": 2}),
        holding({"type": "array", "items": {"type": "string"}, "minItems": 1}),
    ),
    Case(
        f"{SCHEMA}: Schema type 'oneOf' is not supported",
        holding({"oneOf": [{"type": "string"}]}),
        holding({"anyOf": [{"type": "string"}]}),
    ),
    Case(
        f"{SCHEMA}: String format 'color' is not supported",
        holding({"type": "string", "format": "color"}),
        holding({"type": "string", "format": "date"}),
    ),
    Case(
        f"{SCHEMA}: Invalid schema: Schema type is missing for schema: {{'description': 'b'}}",
        holding({"description": "b"}),
        holding({"description": "b", "enum": ["c"]}),
    ),
    Case(
        f"{SCHEMA}: Recursive schemas are not supported: #/$defs/A",
        answering(
            {"$ref": "#/$defs/A", "$defs": {"A": CLOSED | {"properties": {"b": {"$ref": "#/$defs/A"}}}}}
        ),
        answering({"$ref": "#/$defs/A", "$defs": {"A": CLOSED | {"properties": {"b": {"type": "null"}}}}}),
    ),
    Case(
        "output_config.format.name: Extra inputs are not permitted",
        {"output_config": {"format": {"type": "json_schema", "schema": CLOSED, "name": "a"}}},
        answering(CLOSED),
    ),
    Case(
        "output_config.format.type: Input should be 'json_schema'",
        {"output_config": {"format": {"type": "json_object", "schema": CLOSED}}},
        answering(CLOSED),
    ),
    # A strict tool's input follows the same subset; any other's may be any schema.
    Case(f"{PATH}: {OPEN}", having(tool(strict=True)), having(tool(strict=False))),
    Case(f"{PATH}: {OPEN}", having(tool(strict=True)), having(tool(schema=CLOSED, strict=True))),
]
CASES = [*TOOLS, *CHOICES, *SCHEMAS]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.message[:60])
def test_the_fault_alone_is_refused(case: Case) -> None:
    """The API refuses the fault in its own words, and nothing else."""
    assert judge(case.bad) == case.message
    assert judge(case.good) == ""


def test_everything_that_a_tool_may_say_is_taken() -> None:
    """A tool with all its fields is accepted, and so is a tool that the provider runs."""
    full = tool(
        schema={
            "$schema": "http://json-schema.org/draft-07/schema#",
            "$ref": "#/$defs/A",
            "$defs": {"A": {}},
        },
        description="d" * 30_000,
        type="custom",
        cache_control={"type": "ephemeral"},
        defer_loading=False,
        eager_input_streaming=True,
        input_examples=[{"a": 1}],
        allowed_callers=["direct"],
    )
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
    assert judge(having(full, search, type="auto", disable_parallel_tool_use=True)) == ""


def test_the_rules_have_cases() -> None:
    """Each rule about tools and schemas refuses at least one of the cases."""
    assert {rule_of(case) for case in CASES} == {"check_tools", "check_tool_choice", "check_output"}
