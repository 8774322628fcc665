"""The base class of all tables in ``proxy.toml``, and the types of numbers that many of them contain."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


Seconds = Annotated[float, Meta(gt=0, extra={"unit": "seconds"})]
Count = Annotated[int, Meta(ge=1)]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The base class of all tables: unknown keys are errors, and nearly every key has a default.

    A key is described where it is defined, ``Annotated[TYPE, msgspec.Meta(description="…")]``, and nowhere
    else: the JSON schema, ``config explain``, the annotated ``proxy.toml`` and ``docs/configuration.md`` all
    show this text.
    """
