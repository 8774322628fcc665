"""Judges whether an attack held, by what is the same for all attacks."""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import dataclass

import httpx

from tests.attack import watching
from tests.attack.registry import Attack
from tests.attack.stage import KEYS, UPSTREAM_KEY, Stage
from tests.end_to_end.running import TOO_LONG, RunningProxy


SETTLING = 20.0
"""Seconds that the proxy has after an attack to be as it was before."""
_LOUDEST = 2_000_000
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x9b]")


@dataclass
class Before:
    """The state of the proxy before an attack, and how much it had printed."""

    size: watching.Size
    lines: int
    printed: int


def before(proxy: RunningProxy) -> Before:
    """Look at the proxy, and reset the peak of its memory."""
    watching.forget_peak(proxy.pid)
    return Before(watching.size_of(proxy.pid), len(proxy.log), len(proxy.printed))


async def judge(stage: Stage, attack: Attack, was: Before) -> float:
    """Add what did not hold to the stage's problems; return by how many MB memory rose at the most."""
    proxy = stage.proxy
    if proxy.process.returncode is not None:
        if not stage.ends:
            stage.problems.append(f"the proxy ended with status {proxy.process.returncode}")
        _judge_log(stage, attack, was)
        return 0.0
    grown = watching.size_of(proxy.pid).peak - was.size.memory
    if grown > attack.memory:
        stage.problems.append(f"it took {grown:.0f} MB more, which is over {attack.memory} MB")
    if problem := await _unsettled(proxy, was, attack.descriptors):
        stage.problems.append(problem)
    if strays := watching.stray(proxy.descendants(), proxy.pid):
        stage.problems.append(f"{len(strays)} processes are nobody's")
    stage.problems += await _told(stage)
    _judge_log(stage, attack, was)
    return max(grown, 0.0)


async def _unsettled(proxy: RunningProxy, was: Before, spare: int) -> str:
    """Wait until the proxy is as it was; return what is different if it does not get there."""
    deadline = time.monotonic() + SETTLING
    while True:
        left = await _left(proxy, was, spare)
        if not left or time.monotonic() > deadline:
            return left
        await asyncio.sleep(0.2)


async def _left(proxy: RunningProxy, was: Before, spare: int) -> str:
    try:
        size = watching.size_of(proxy.pid)
        processes = (await proxy.health()).get("processes", {})
    except (httpx.HTTPError, OSError, ValueError, KeyError) as error:
        return f"/health does not answer: {error!r}"
    busy = {kind: processes[kind] for kind in ("busy", "queued", "ending") if processes.get(kind)}
    if busy:
        return f"it is not at rest: {busy}"
    # each process of the CLI has three pipes, and the watching of its end
    more = size.descriptors - was.size.descriptors - 4 * len(proxy.descendants())
    if more > spare:
        return f"{more} descriptors more are open"
    if dead := watching.zombies(proxy.pid):
        return f"{dead} processes ended and were not waited for"
    return ""


async def _told(stage: Stage) -> list[str]:
    """Return the secrets that anybody can read in /health."""
    async with stage.client(key="", within=10) as http:
        try:
            text = (await http.get("/health")).text
        except httpx.HTTPError as error:
            return [f"/health does not answer: {error!r}"]
    return [f"/health holds {word}" for word in _secrets(stage) if word in text]


def _judge_log(stage: Stage, attack: Attack, was: Before) -> None:
    proxy = stage.proxy
    lines = proxy.log[was.lines :] + proxy.printed[was.printed :]
    text = "\n".join(lines)
    stage.problems += [f"the log holds {word}" for word in _secrets(stage) if word in text]
    if "Traceback" in text and not attack.traceback:
        stage.problems.append(f"the log holds a traceback: {_last_line(lines)}")
    if odd := next((line for line in lines if _CONTROL.search(line)), ""):
        stage.problems.append(f"the log holds a control character: {json.dumps(odd[:120])}")
    if TOO_LONG in lines:
        stage.problems.append("the log holds lines of more than 64 kB")
    if len(text) > _LOUDEST:
        stage.problems.append(f"it logged {len(text):,} characters")


def _secrets(stage: Stage) -> list[str]:
    return [stage.canary, UPSTREAM_KEY, *KEYS.values()]


def _last_line(lines: list[str]) -> str:
    start = next(number for number, line in enumerate(lines) if "Traceback" in line)
    ends = (line for line in lines[start + 1 :] if line and not line.startswith(" "))
    return next(ends, "")[:200]
