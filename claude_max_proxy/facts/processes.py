"""What can be seen of one process that a backend runs."""

from __future__ import annotations

from typing import Literal

import msgspec


__all__ = [
    "ProcessFacts",
    "ProcessState",
]


# "starting": it loads what its first answer needs. "warm": nobody has spoken to it yet. "asked": it answers.
# "parked": it holds a conversation in which nobody asks anything now. "paused": warm or parked, and stopped.
# "ending": it was told to exit.
ProcessState = Literal["starting", "warm", "asked", "parked", "paused", "ending"]


class ProcessFacts(msgspec.Struct, frozen=True):
    """One process, with nothing of what was said in it.

    - ``age``: seconds since its start; ``idle``: seconds since it last had something to do, 0 while it does.
    - ``turns``: how many questions it was asked.
    - ``memory``: the resident memory, in bytes; ``cpu``: the processor time that it has used, in seconds.
      Both include what an agent's process has started, and are ``None`` where the system does not tell.
    - ``session``: a short name of the client's session; empty if there is none.
    """

    pid: int
    state: ProcessState
    model: str = ""
    age: float = 0.0
    idle: float = 0.0
    turns: int = 0
    memory: int | None = None
    cpu: float | None = None
    session: str = ""
