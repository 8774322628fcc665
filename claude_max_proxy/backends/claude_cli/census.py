"""What can be told of a pool's processes: how many are in which state, and each with its age and use."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable
from pathlib import Path

from claude_max_proxy import ProcessFacts
from claude_max_proxy.backends.claude_cli.keeping import Kept
from claude_max_proxy.backends.claude_cli.memory import resident_memory
from claude_max_proxy.backends.claude_cli.offspring import tree
from claude_max_proxy.backends.claude_cli.process import CliProcess
from claude_max_proxy.facts.processes import ProcessState


_LONGEST_NAME = 40


def counts(
    every: Collection[CliProcess], warm: Collection[CliProcess], parked: int, ending: int
) -> dict[str, int]:
    """Return how many processes are in which state: every process, of which these are warm, and so on."""
    ready = sum(process.rehearsed.is_set() for process in warm)
    return {
        "starting": len(warm) - ready,
        "warm": ready,
        "busy": len(every) - len(warm) - parked - ending,
        "parked": parked,
        "ending": ending,
    }


def facts(
    every: Iterable[CliProcess],
    warm: Collection[CliProcess],
    kept: Iterable[Kept],
    ending: Collection[CliProcess],
) -> list[ProcessFacts]:
    """Return what can be told of every process, oldest first; this reads ``/proc``, some files for each."""
    now = time.monotonic()
    idle = {one.conversation.process: now - one.since for one in kept}
    idle.update({process: now - process.born for process in warm})
    found = []
    for process in sorted(every, key=lambda one: one.born):
        state = _state(process, idle, warm, ending)
        pids = tree(process.pid) if process.is_kept else [process.pid]
        found.append(
            ProcessFacts(
                process.pid,
                state,
                process.kind.model,
                now - process.born,
                idle.get(process, 0.0),
                process.turns,
                sum(map(resident_memory, pids)) or None,
                _processor_time(pids),
                process.session[:_LONGEST_NAME],
            )
        )
    return found


def _state(
    process: CliProcess,
    idle: Collection[CliProcess],
    warm: Collection[CliProcess],
    ending: Collection[CliProcess],
) -> ProcessState:
    if process in ending:
        return "ending"
    if process.paused:
        return "paused"
    if process in warm:
        return "warm" if process.rehearsed.is_set() else "starting"
    return "parked" if process in idle else "asked"


def _processor_time(pids: Iterable[int]) -> float | None:
    """Return the processor time that processes have used, in seconds; ``None`` without ``/proc``."""
    seconds = [time_ for pid in pids if (time_ := _seconds(pid)) is not None]
    return sum(seconds) if seconds else None


def _seconds(pid: int) -> float | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return None
