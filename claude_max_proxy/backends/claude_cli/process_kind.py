"""What is fixed when a process is started: only processes of the same kind can replace each other."""

from __future__ import annotations

import msgspec

from claude_max_proxy import Agent


class ProcessKind(msgspec.Struct, frozen=True):
    """The model of a process, and for agent mode what the agent may do."""

    model: str
    agent: Agent | None = None
