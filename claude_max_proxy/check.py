"""One line of ``claude-max-proxy doctor``: what is looked at, and what was found."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """What a check found; ``remedy`` says what to do, where there is something to do."""

    status: Literal["ok", "warn", "fail"]
    text: str
    remedy: str = ""


class Check(msgspec.Struct, frozen=True):
    """Something that can be looked at.

    ``run`` may use the network and start processes, which it ends. What it raises is a finding, and so is
    that it takes longer than ``timeout`` seconds. One that ``costs`` uses a little of somebody's plan or
    money, and is left out with ``--no-round-trip``.
    """

    name: str
    run: Callable[[], Awaitable[Finding]]
    timeout: Annotated[float, msgspec.Meta(gt=0)] = 20.0
    costs: bool = False
