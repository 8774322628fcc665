"""What goes wrong at random during a soak: providers, processes, plugins and configurations."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from collections import Counter
from typing import Any

from claude_max_proxy.testing import Answer, Drop, Hang, ScriptedOpenAI, fault
from tests.attack.reciting import recited
from tests.end_to_end.running import RunningProxy


FAILING = """
import asyncio, random
from claude_max_proxy import hookimpl

@hookimpl
def rewrite_request(request):
    if random.random() < {chance}:
        raise RuntimeError("a plugin that fails")

@hookimpl
async def select_backend(request):
    if random.random() < {chance}:
        await asyncio.sleep(60)

@hookimpl
def log_request(record):
    if random.random() < {chance}:
        raise ValueError("a plugin that fails")
"""
_RELOADED = "# reloaded"


class RecitingOpenAI(ScriptedOpenAI):
    """An OpenAI-compatible server that also recites after the results of tools."""

    def choose(self, body: dict[str, Any]) -> Answer:
        """Recite, or answer as scripted."""
        answer = self._function(body) if self._function else None
        return answer if answer is not None else super().choose(body)


class Faults:
    """Makes faults at random from a seed; `done` counts them. With `rate` 0 there are none."""

    def __init__(self, proxy: RunningProxy, chance: random.Random, rate: float) -> None:
        self._proxy = proxy
        self._chance = chance
        self._rate = rate
        self.done: Counter[str] = Counter()

    def answer(self, body: dict[str, Any]) -> Answer | None:
        """Answer like a provider that is not always well."""
        drawn = self._chance.random() / self._rate if self._rate else 1.0
        for bound, name, answer in (
            (0.02, "dropped before its answer", Drop()),
            (0.04, "dropped in its answer", Drop(1)),
            (0.06, "overloaded", fault(529)),
            (0.07, "failed", fault(500)),
            (0.08, "limited", fault(429)),
            (0.084, "silent", Hang()),
            (0.088, "silent in its answer", Hang(1)),
        ):
            if drawn < bound:
                self.done[f"provider: {name}"] += 1
                return answer
        return recited(body)

    async def keep_going(self) -> None:
        """Make something go wrong every few seconds, until this is cancelled."""
        kinds = (self._kill, self._stop, self._save, self._hang_up, self._plugin, self._break_plugin)
        while self._rate:
            await asyncio.sleep(self._chance.uniform(1, 5) / self._rate)
            self._chance.choice(kinds)()

    def _kill(self) -> None:
        self._signal(signal.SIGKILL, "CLI: killed")

    def _stop(self) -> None:
        self._signal(signal.SIGSTOP, "CLI: stopped")

    def _signal(self, number: int, told: str) -> None:
        pids = self._proxy.descendants()
        with contextlib.suppress(ProcessLookupError, IndexError):
            os.kill(self._chance.choice(pids), number)
            self.done[told] += 1

    def _save(self) -> None:
        file = self._proxy.work / "proxy.toml"
        text = file.read_text().partition(_RELOADED)[0]
        file.write_text(f"{text}{_RELOADED} {self._chance.random()}\n")
        self.done["configuration: saved"] += 1

    def _hang_up(self) -> None:
        self._proxy.process.send_signal(signal.SIGHUP)
        self.done["configuration: reloaded by a signal"] += 1

    def _plugin(self) -> None:
        self._write(FAILING.format(chance=round(self._chance.uniform(0, 0.05), 3)))
        self.done["plugin: changed"] += 1

    def _break_plugin(self) -> None:
        self._write("import nothing_of_that_name\n")
        self.done["plugin: broken"] += 1

    def _write(self, source: str) -> None:
        file = self._proxy.work / "plugins" / "failing.py"
        file.write_text(source)
        file.chmod(0o600)
