"""The names of models that clients may send, and how long they may be."""

from __future__ import annotations

from typing import Annotated

import msgspec


LONGEST_MODEL = 256
ModelName = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_MODEL)]
