"""Makes ``openai_schema.json`` from OpenAI's own description of its API.

    python -m tests.openai_schema_source OPENAPI_JSON REVISION

The file is ``openapi.json`` of https://github.com/openai/openai-openapi (MIT licence), REVISION its commit.
Kept are the schemas of the answers that this proxy writes, and what those refer to, without prose.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


TARGET = Path(__file__).with_name("openai_schema.json")
ROOTS = (
    "CreateChatCompletionResponse",
    "CreateChatCompletionStreamResponse",
    "CreateCompletionResponse",
    "CreateEmbeddingResponse",
    "ErrorResponse",
    "ListModelsResponse",
    "Model",
    "Response",
    "ResponseItemList",
    "ResponseStreamEvent",
)
PROSE = {"description", "title", "example", "examples", "deprecated", "discriminator", "default"}
_REFERENCE = "#/components/schemas/"


def bare(schema: Any, *, names: bool = False) -> Any:
    """Return a schema without texts and extensions; under ``properties``, all keys are names."""
    if isinstance(schema, list):
        return [bare(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {
        key: bare(value, names=key == "properties" and not names)
        for key, value in schema.items()
        if names or not (key in PROSE or key.startswith("x-"))
    }
    if not names and kept.pop("nullable", False):  # OpenAPI 3.0 has this keyword; JSON schema has not
        return {"anyOf": [kept, {"type": "null"}]}
    return kept


def references(schema: Any) -> set[str]:
    """Return the names of the schemas to which a schema refers."""
    if isinstance(schema, list):
        return set().union(*map(references, schema))
    if not isinstance(schema, dict):
        return set()
    own = {schema["$ref"].removeprefix(_REFERENCE)} if isinstance(schema.get("$ref"), str) else set()
    return own.union(*map(references, schema.values()))


def closure(schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the root schemas and all to which they refer, without texts."""
    kept: dict[str, Any] = {}
    wanted = set(ROOTS)
    while wanted:
        name = wanted.pop()
        kept[name] = bare(schemas[name])
        wanted |= references(kept[name]) - kept.keys()
    return dict(sorted(kept.items()))


def main(source: str, revision: str) -> None:
    """Write the file."""
    described = json.loads(Path(source).read_text("utf-8"))
    content = {
        "$comment": "Made by tests/openai_schema_source.py. Copyright (c) OpenAI, MIT licence.",
        "source": f"https://github.com/openai/openai-openapi/blob/{revision}/openapi.json",
        "components": {"schemas": closure(described["components"]["schemas"])},
    }
    TARGET.write_text(json.dumps(content, separators=(",", ":"), sort_keys=True) + "\n", "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
