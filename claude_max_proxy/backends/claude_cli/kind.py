"""What a process is fixed to when it is spawned: only processes of one kind can stand in for each other."""

from __future__ import annotations

import msgspec

from claude_max_proxy import Agent


class Kind(msgspec.Struct, frozen=True):
    """A model, and the CLI's own agent if it is to work."""

    model: str
    agent: Agent | None = None
