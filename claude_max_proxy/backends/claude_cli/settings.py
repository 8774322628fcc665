"""``[backends.<name>]`` with ``type = "claude-cli"``: every key, its default and what it means."""

from __future__ import annotations

from typing import Annotated

import msgspec

from claude_max_proxy import Settings
from claude_max_proxy.backends.claude_cli.memory import SIZE


Seconds = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=0)]


class ClaudeCliSettings(Settings, frozen=True):
    """How to run the CLI. Times are in seconds.

    ``command`` is the program, or a list with arguments that come before ours. ``warm`` processes are kept
    ready for each of ``warm_models``, always, and for every model used lately, and renewed after
    ``warm_timeout``. After ``rest_timeout`` without a request one process is left, of the model used last.
    ``max_processes`` bounds all of them, busy, warm and parked, and ``max_memory`` what they take together,
    like "2GB", where the system tells. ``idle_timeout`` ends a conversation that nobody continued.

    A request waits at most ``queue_timeout`` among at most ``queue_size`` others. ``start_timeout`` bounds
    the CLI's start, ``first_event_timeout`` the wait for the upstream's first word, ``stall_timeout`` any
    silence after it. ``retries`` is how often a short upstream fault is tried again. ``env`` is added to the
    child's environment.
    """

    command: str | list[str] = "claude"
    warm: Count = 1
    warm_models: list[str] = msgspec.field(default_factory=list)
    warm_timeout: Seconds = 1800.0
    rest_timeout: Seconds = 300.0
    max_processes: Annotated[int, msgspec.Meta(ge=1)] = 8
    max_memory: Annotated[str, msgspec.Meta(pattern=f"^{SIZE}$")] = ""
    idle_timeout: Seconds = 1800.0
    queue_size: Count = 64
    queue_timeout: Seconds = 60.0
    start_timeout: Seconds = 30.0
    first_event_timeout: Seconds = 300.0
    stall_timeout: Seconds = 300.0
    retries: Count = 2
    env: dict[str, str] = msgspec.field(default_factory=dict)
