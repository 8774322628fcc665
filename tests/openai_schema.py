"""OpenAI's own schemas of its answers, to judge ours: ``check("Response", body)``.

Fields beyond the schema are allowed, as the API's own clients allow them. The schemas are in
``openai_schema.json``, which ``openai_schema_source.py`` makes.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator


_DESCRIBED = json.loads(Path(__file__).with_name("openai_schema.json").read_text("utf-8"))
SCHEMAS: dict[str, Any] = _DESCRIBED["components"]["schemas"]


def check(name: str, value: Any) -> None:
    """Assert that a decoded body follows OpenAI's schema with this name."""
    error = next(iter(sorted(_validator(name).iter_errors(value), key=_depth)), None)
    assert error is None, f"{name}: {error.json_path if error else ''}: {error.message if error else ''}"


def check_event(event: dict[str, Any]) -> None:
    """Assert that an event of a streamed response is one that OpenAI describes."""
    kind = event["type"]
    assert kind in _events(), f"OpenAI has no event {kind!r}"
    check(_events()[kind], event)


def _depth(error: Any) -> int:
    return -len(error.absolute_path)


@cache
def _events() -> dict[str, str]:
    names = [one["$ref"].rpartition("/")[2] for one in SCHEMAS["ResponseStreamEvent"]["anyOf"]]
    return {SCHEMAS[name]["properties"]["type"]["enum"][0]: name for name in names}


@cache
def _validator(name: str) -> Draft202012Validator:
    assert name in SCHEMAS, f"there is no schema {name!r}"
    return Draft202012Validator({**_DESCRIBED, "$ref": f"#/components/schemas/{name}"})
