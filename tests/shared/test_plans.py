"""Limits and windows of plans that replicas learn from one another, over a real PostgreSQL."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from claude_max_proxy.backend import Backend, Target
from claude_max_proxy.errors import UsageLimitReached
from claude_max_proxy.facts.plan_windows import PlanWindow, PlanWindows
from claude_max_proxy.gateway.fallback import Breakers
from claude_max_proxy.shared import Shared
from claude_max_proxy.shared.channel import CHANNEL
from tests.postgresql import PostgreSQL
from tests.server.live_proxy import LiveProxy
from tests.shared.conftest import Join
from tests.shared.keys import KEY
from tests.shared.test_foundation import until


pytestmark = pytest.mark.postgres
ONE, TWO = Target("claude", "one"), Target("claude", "two")


class Planned(Backend):
    """A backend that only has a plan."""

    def __init__(self) -> None:
        """Begin without windows."""
        self.plan = PlanWindows()

    def answer(self, request: Any, model: str) -> Any:
        """Never happens."""
        raise NotImplementedError

    def windows(self) -> tuple[PlanWindow, ...]:
        """Return the windows."""
        return self.plan.current(time.time())

    def hear_windows(self, windows: Any) -> None:
        """See windows."""
        for window in windows:
            self.plan.see(window)


class Replica:
    """A replica's breakers and backend, joined to what is shared."""

    def __init__(self, shared: Shared) -> None:
        """Join."""
        self.shared, self.breakers, self.backend = shared, Breakers(), Planned()
        assert shared.plans is not None
        self.plans = shared.plans
        self.plans.backends = {"claude": self.backend}
        self.breakers.tell, self.plans.on_limit = self.plans.tell_limit, self.breakers.hear

    def passes_over(self, target: Target) -> bool:
        """Return whether another target would be asked instead."""
        return self.breakers.candidates([target, TWO])[0] is not target

    @property
    def used(self) -> float | None:
        """The share of the window that is used."""
        return next((one.used for one in self.backend.windows()), None)


async def joined(join: Join) -> Replica:
    """Return a replica that hears what others tell."""
    replica = Replica(await join())
    await asyncio.wait_for(replica.shared.channel.joined.wait(), 30)
    return replica


async def test_a_limit_is_known_to_all(join: Join) -> None:
    """All replicas pass over a target whose limit one has met, later ones too, each model by itself."""
    first, second = await joined(join), await joined(join)
    first.breakers.note(ONE, UsageLimitReached("used up", retry_after=600))
    await until(lambda: second.passes_over(ONE))
    later = Replica(await join())
    await until(lambda: later.passes_over(ONE))
    for replica in (first, second, later):
        assert not replica.passes_over(Target("claude", "three"))


async def test_a_limit_ends(join: Join) -> None:
    """Nobody passes a target over for longer than its limit, and no replica tells on what it has heard."""
    first, second = await joined(join), await joined(join)
    told: list[float] = []
    second.breakers.tell = lambda _backend, _model, seconds: told.append(seconds)
    first.breakers.note(ONE, UsageLimitReached("used up", retry_after=1))
    await until(lambda: second.passes_over(ONE))
    await until(lambda: not second.passes_over(ONE) and not first.passes_over(ONE))
    assert not told
    assert not Replica(await join()).passes_over(ONE)


async def test_windows_are_known_to_all(join: Join) -> None:
    """How far a window is used is the newest sighting of any replica, also for one that starts later."""
    first, second = await joined(join), await joined(join)
    now = time.time()
    first.backend.plan.see(PlanWindow("five_hour", 0.4, resets_at=now + 9000, seen_at=now - 5))
    await until(lambda: second.used == 0.4)
    second.backend.plan.see(PlanWindow("five_hour", 0.5, resets_at=now + 9000, seen_at=time.time()))
    await until(lambda: first.used == 0.5)
    later = Replica(await join())
    await until(lambda: later.used == 0.5)
    (window,) = later.backend.windows()
    assert window.resets_at == pytest.approx(now + 9000, abs=60)
    assert window.seen_at <= time.time()


async def test_nonsense_is_ignored(join: Join) -> None:
    """What is malformed, endless or of an unknown backend changes nothing, and later news still arrive."""
    first, second = await joined(join), await joined(join)
    bodies = [
        '{"left": -5, "body": {"backend": "claude", "model": "one"}}',
        '{"left": 1e300, "body": {"backend": "claude", "model": "one"}}',
        '{"left": 60, "body": {"backend": "claude"}}',
        '{"left": 60, "body": 7}',
    ]
    messages = [f'{{"sender": "x", "about": "limit", "body": {body}}}' for body in bodies]
    window = '{"backend": "other", "name": "five_hour", "age": 0, "used": 1}'
    messages.append(f'{{"sender": "x", "about": "window", "body": {{"left": 60, "body": {window}}}}}')

    async def notify(connection: Any) -> None:
        for message in messages:
            await connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, message))

    await first.shared.database.run(notify, 5)
    first.breakers.note(TWO, UsageLimitReached("used up", retry_after=600))
    await until(lambda: second.breakers.candidates([TWO, ONE])[0] is ONE)
    assert not second.passes_over(Target("claude", "x"))
    assert second.breakers.candidates([ONE, TWO])[0] is ONE
    assert second.used is None


async def test_told_when_the_database_is_back(join: Join, server: PostgreSQL) -> None:
    """A limit that is met while the database is away is told when it is back."""
    first, second = await joined(join), await joined(join)
    await asyncio.to_thread(server.stop)
    try:
        first.breakers.note(ONE, UsageLimitReached("used up", retry_after=600))
        assert first.passes_over(ONE)
        await until(lambda: first.shared.health()["status"] == "degraded")
    finally:
        await asyncio.to_thread(server.start)
    await until(lambda: second.passes_over(ONE))


async def test_two_proxies(tmp_path: Path, url: str) -> None:
    """A request to one proxy goes to the fallback because another proxy has met the limit."""
    toml = f"""
[shared]
url = "{url}"
encryption_key = "{KEY}"
[backends.claude]
type = "scripted"
[models]
echo = {{ to = "claude/one", fallback = ["claude/two"] }}
"""
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    proxies = [LiveProxy(folder, toml) for folder in folders]
    async with proxies[0].serving() as one, proxies[1].serving() as two:
        shared = two.live.runtime.shared
        assert shared is not None
        await asyncio.wait_for(shared.channel.joined.wait(), 30)
        one.backend.script = [UsageLimitReached("used up", retry_after=600)]
        assert (await one.ask()).status_code in {200, 429}
        breakers = two.live.runtime.breakers
        await until(lambda: breakers.candidates([ONE, TWO])[0] is TWO)
        await two.ask()
        assert two.backend.asked[-1][1] == "two"
