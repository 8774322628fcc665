"""Three clients whose sessions interleave: each sees what it sees alone, and so does the provider of each.

OpenClaw, Codex and a loop of the OpenAI SDK hold conversations with tools through one proxy, first one after
the other, then at once. What each was answered, and what reached the provider for it, must be the same.
"""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from claude_max_proxy.testing import conversation, system_text
from tests.clients import codex, openclaw
from tests.clients.expecting import holds, same
from tests.clients.installing import Installed, install
from tests.clients.registry import load
from tests.clients.stage import Stage


TURNS = 3
NAMES = ("openclaw", "codex", "openai-python")
Session = Callable[[Stage], Awaitable[list[str]]]
# What differs between two runs of the same client.
_CHANGES = (
    re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
    re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?( ?UTC|Z)?"),
    re.compile(r"\d\d:\d\d(:\d\d)?"),
    re.compile(r"(call|toolu)_?[0-9A-Za-z_]{16,}"),
    re.compile(r"(Chunk ID: |Wall time: |chunk_id\W+)[0-9a-f.]+"),
    re.compile(r'"?(id|tool_use_id)"?: "[^"]+"'),
)


@dataclass(frozen=True)
class Heard:
    """What a client was answered, and what the provider was asked for it, without ids, times and paths."""

    answers: list[str]
    asked: list[str]


async def run_together(cli: str, tell: Callable[[str], None]) -> None:
    """Compare them, with this CLI; raise AssertionError for what is not the same."""
    installed = {name: install(load(name), tell) for name in NAMES}
    alone = await _run(cli, installed, at_once=False)
    together = await _run(cli, installed, at_once=True)
    for name in NAMES:
        same(together[name].answers, alone[name].answers, f"what {name} was answered")
        same(
            len(together[name].asked), len(alone[name].asked), f"how often the provider was asked for {name}"
        )
        for number, (found, wanted) in enumerate(zip(together[name].asked, alone[name].asked, strict=True)):
            holds(found == wanted, f"request {number} for {name} differs: {_difference(found, wanted)}")


async def _run(cli: str, installed: dict[str, Installed], *, at_once: bool) -> dict[str, Heard]:
    sessions: dict[str, Session] = {"openclaw": _openclaw, "codex": _codex, "openai-python": _sdk}
    async with AsyncExitStack() as stack:
        stages: dict[str, Stage] = {}
        for name in NAMES:
            folder = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="claude-max-clients-", ignore_cleanup_errors=True)
            )
            host = stages.get(NAMES[0])
            stage = Stage(load(name), installed[name], cli, Path(folder), host)
            stages[name] = await stack.enter_async_context(stage)
        if at_once:
            answers = await asyncio.gather(*(sessions[name](stages[name]) for name in NAMES))
        else:
            answers = [await sessions[name](stages[name]) for name in NAMES]
        requests = [request.body for request in stages[NAMES[0]].upstream.requests]
        homes = [str(stage.home.parent) for stage in stages.values()]
        return {
            name: Heard(said, [_asked(body, homes) for body in requests if _whose(body) == name])
            for name, said in zip(NAMES, answers, strict=True)
        }


async def _openclaw(stage: Stage) -> list[str]:
    answers = []
    for turn in range(TURNS):
        call = f'[[tool exec {{"command":"echo {_canary("openclaw", turn)}"}}]]'
        report = await openclaw.say(stage, "together", f"{_canary('openclaw', turn)} {call}")
        answers.append(openclaw.said(report).partition(openclaw.CONTEXT)[0].strip())
    return answers


async def _codex(stage: Stage) -> list[str]:
    answers = []
    for turn in range(TURNS):
        call = f'[[tool exec_command {{"cmd":"echo {_canary("codex", turn)}"}}]]'
        again = ("resume", "--last") if turn else ()
        output = await codex.codex(stage, *again, f"{_canary('codex', turn)} {call}")
        answers.append(_steady(codex.said(output), []))
    return answers


async def _sdk(stage: Stage) -> list[str]:
    answers: list[str] = []
    for turn in range(TURNS):
        canary = _canary("openai-python", turn)
        call = f'[[tool weather {{"city":"{canary}"}}]]'
        answers.append(await stage.ask("program.py", "tools", text=f"{canary} {call}"))
        answers += await stage.ask("program.py", "turns", texts=[f"{canary} {number}" for number in range(2)])
    return answers


def _canary(name: str, turn: int) -> str:
    """Return a word that only this client says."""
    return f"canary-{name}-{turn}"


def _whose(body: dict[str, Any]) -> str:
    """Tell for whom the provider was asked; raise AssertionError where that is not one of them alone."""
    text = json.dumps(body)
    found = [name for name in NAMES if f"canary-{name}-" in text]
    holds(len(found) == 1, f"a request holds the words of {found or 'nobody'}")
    return found[0]


def _asked(body: dict[str, Any], homes: list[str]) -> str:
    parts = [system_text(body), body.get("tools"), conversation(body)]
    return _steady(json.dumps(parts, indent=1, ensure_ascii=False, sort_keys=True), homes)


def _steady(text: str, homes: list[str]) -> str:
    for home in homes:
        text = text.replace(home, "HOME")
    for pattern in _CHANGES:
        text = pattern.sub("…", text)
    return text


def _difference(found: str, wanted: str) -> str:
    at = next((at for at, (one, other) in enumerate(zip(found, wanted, strict=False)) if one != other), -1)
    return f"{found[max(0, at - 80) : at + 120]!r} was {wanted[max(0, at - 80) : at + 120]!r} alone"
