"""One line of ``claude-max-proxy doctor``: what is checked, and what was found."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """What a check has found; ``remedy`` says what the user can do, if there is something to do."""

    status: Literal["ok", "warn", "fail"]
    text: str
    remedy: str = ""


class Check(msgspec.Struct, frozen=True):
    """Something that ``doctor`` can check.

    ``run`` may use the network and may start processes, which it must end. If it raises an exception, or
    takes longer than ``timeout`` seconds, that is a finding too. A check that ``costs`` uses a little of the
    user's plan or money, and is left out with ``--no-round-trip``. A check that ``needs`` others, by their
    names, is left out if one of them failed or was itself left out: each problem is reported once.
    """

    name: str
    run: Callable[[], Awaitable[Finding]]
    timeout: Annotated[float, msgspec.Meta(gt=0)] = 20.0
    costs: bool = False
    needs: tuple[str, ...] = ()
