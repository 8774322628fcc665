"""Checks that every question which reached the provider belongs to a client's request.

A drop-in plugin in each proxy under test writes down when each request began and ended; the clock is the
system's, so the scripted API's times compare with it. What comes outside all of these times nobody asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from claude_max_proxy.testing.seen import RecordedRequest


FILE = "asked.txt"
PLUGIN = f"""
import time
from pathlib import Path

from claude_max_proxy import hookimpl


@hookimpl
def log_request(record):
    now = time.monotonic()
    with (Path(__file__).parent.parent / {FILE!r}).open("a") as file:
        file.write(f"{{now - record.total}} {{now}}\\n")
"""
# Seconds that a question takes through the CLI, and that one may arrive after its answer has ended.
SLACK = 0.25

Window = tuple[float, float]


def windows(work: Path) -> list[Window]:
    """Return when the requests of the proxy in this folder began and ended."""
    path = work / FILE
    lines = path.read_text().splitlines() if path.exists() else []
    pairs = (line.split() for line in lines)
    return [(float(began), float(ended)) for began, ended in pairs]


def unasked(arrivals: Iterable[RecordedRequest], asked: Sequence[Window]) -> list[str]:
    """Return the requests that came while no client was waiting for an answer.

    `HEAD /` is left out: with it 2.1.197 opens a connection at its start. It carries nothing, asks nothing,
    and no switch prevents it.
    """
    return [
        f"{request.method} {request.path}"
        for request in arrivals
        if request.method != "HEAD"
        and not any(began - SLACK <= request.received_at <= ended + SLACK for began, ended in asked)
    ]
