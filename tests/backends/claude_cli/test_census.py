"""What a backend tells of its processes and of its plan, with the fake CLI."""

from __future__ import annotations

import json
import os
import time

from claude_max_proxy import Client
from claude_max_proxy.backends.claude_cli.backend import ClaudeCli
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings
from tests.backends.claude_cli.asking import ask, asking, events_of
from tests.backends.claude_cli.conftest import FAKE, MakeBackend
from tests.end_to_end.running import until


async def test_the_processes(backend: ClaudeCli) -> None:
    """Each process is told with its state, model, age, turns and session, and with what the system says."""
    before = time.monotonic()
    await events_of(backend, asking("hello", client=Client(session="s" * 100)))
    (parked,) = (process for process in backend.processes() if process.turns)
    assert (parked.state, parked.model, parked.turns, parked.session) == ("parked", "sonnet", 1, "s" * 40)
    assert 0 <= parked.idle <= parked.age <= time.monotonic() - before
    os.kill(parked.pid, 0)
    assert parked.memory is None or parked.memory > 1_000_000
    assert parked.cpu is None or 0 < parked.cpu < 60


async def test_the_states_of_processes(make_backend: MakeBackend) -> None:
    """A warm process, one that answers, and one that ends are told apart."""
    backend = make_backend(warm=1, warm_models=["haiku"])
    await backend.start()
    seen: set[str] = set()
    assert await until(lambda: seen.update(one.state for one in backend.processes()) or "warm" in seen)
    events = backend.answer(asking("[[hang]]"), "sonnet")
    await anext(events)
    assert [one.state for one in backend.processes() if one.turns] == ["asked"]
    await events.aclose()
    assert [one.state for one in backend.processes() if one.turns] == ["parked"]
    backend._pool.retire()
    assert [one.state for one in backend.processes() if one.turns] == ["ending"]


async def test_the_plan(backend: ClaudeCli) -> None:
    """What the CLI says of the plan before an answer is there to be seen, also for the next backend."""
    reset = time.time() + 3600
    five_hour = {"utilization": 0.91, "resetsAt": reset, "status": "allowed_warning"}
    info = {"status": "allowed", "resetsAt": reset, "unifiedWindows": {"five_hour": five_hour}}
    assert backend.windows() == ()
    await ask(backend, f"[[plan {json.dumps(info)}]]")
    window, plan = backend.windows()
    assert (window.name, window.used, window.status) == ("five_hour", 0.91, "warning")
    assert (plan.name, plan.used, plan.status) == ("plan", None, "allowed")
    assert window.resets_at == round(reset)
    after = ClaudeCli("claude", backend.settings)
    after.take_over(backend)
    assert after.windows()[0].used == 0.91
    other = ClaudeCli("claude", ClaudeCliSettings(command=FAKE, env={"CLAUDE_CONFIG_DIR": "/elsewhere"}))
    other.take_over(backend)
    assert other.windows() == ()
