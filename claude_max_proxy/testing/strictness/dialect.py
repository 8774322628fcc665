"""Whether a value is a JSON schema of draft 2020-12, by that draft's own meta-schema.

The product has a function for it, too. This one asks the library itself, so that a fault there is found here.
"""

from __future__ import annotations

from functools import cache

import jsonschema_rs


DRAFT_2020_12 = "https://json-schema.org/draft/2020-12/schema"


def is_schema(value: object) -> bool:
    """Whether the draft's meta-schema accepts it, whatever it calls itself; unknown keywords are no fault."""
    return _meta_schema().is_valid(value)


@cache
def _meta_schema() -> jsonschema_rs.Validator:
    return jsonschema_rs.Draft202012Validator({"$ref": DRAFT_2020_12})
