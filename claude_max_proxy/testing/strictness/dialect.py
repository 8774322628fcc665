"""Finds out whether a value is a JSON schema of draft 2020-12, using the draft's own meta-schema.

The proxy itself has such a function too. This one calls the library directly, so that tests can find mistakes
in the other one.
"""

from __future__ import annotations

from functools import cache

import jsonschema_rs


DRAFT_2020_12 = "https://json-schema.org/draft/2020-12/schema"


def is_schema(value: object) -> bool:
    """Return whether the draft's meta-schema accepts a value; the draft that it names does not matter."""
    return _meta_schema().is_valid(value)


@cache
def _meta_schema() -> jsonschema_rs.Validator:
    return jsonschema_rs.Draft202012Validator({"$ref": DRAFT_2020_12})
