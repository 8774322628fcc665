"""Replicas that are cut off from the database, from HAProxy, or killed, while there is steady traffic."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable

import httpx
import pytest

from tests.attack.reciting import new_canary
from tests.cluster.apart import Apart, apart, missing
from tests.cluster.replica import Replica


pytestmark = [
    pytest.mark.postgres,
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing()), reason=missing()),
]
CLIENTS = 6


def now() -> float:
    """Return the time of the loop's clock."""
    return asyncio.get_running_loop().time()


async def until(is_so: Callable[[], Awaitable[bool]], within: float = 60) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(within):
        while not await is_so():  # noqa: ASYNC110  # it is in other processes
            await asyncio.sleep(0.2)


async def status(replica: Replica) -> str:
    """Return how what is shared is at a replica."""
    health = json.loads(await replica.get("/health") or "{}")
    return str(health.get("shared", {}).get("status", ""))


async def is_asked(it: Apart, replica: Replica) -> None:
    """Wait until a replica answers requests that begin from now on."""
    began = now()

    async def answers() -> bool:
        return it.answered_by(replica, began) > 3

    await until(answers)


async def asked(it: Apart, session: str, text: str) -> httpx.Response:
    """Ask something in a session, over a connection of its own, so that HAProxy's own errors are heard."""
    headers = {"authorization": "Bearer one", "x-session-affinity": session}
    body = {"model": "openai", "messages": [{"role": "user", "content": text}]}
    async with it.client() as http:
        return await http.post("/v1/chat/completions", json=body, headers=headers)


async def session_at(it: Apart, replica: Replica) -> str:
    """Return the name of a session that HAProxy leads to a replica."""
    for number in range(100):
        answer = await asked(it, f"session-{number}", "hello")
        if answer.headers.get("x-proxy-replica") == replica.name:
            return f"session-{number}"
    raise AssertionError(f"HAProxy leads nobody to {replica.name}")


async def judged(it: Apart, *, lost_by: set[str]) -> None:
    """End everything, and compare what clients, the provider, the ledger and the budget have seen."""
    await it.end()
    await asyncio.gather(*(one.drain() for one in it.replicas))
    lost, rows = it.counts.of("lost"), await it.rows()
    assert not it.counts.of("wrong", "mixed"), it.counts.of("wrong", "mixed")[:5]
    assert {one.replica for one in lost} <= lost_by | {""}, lost[:5]
    asked = Counter(one.word for one in it.counts.asked)
    assert {word: times for word, times in it.counts.reached.items() if times > asked.get(word, 1)} == {}
    seen, kept = it.counts.reached.total(), sum(row["asked"] for row in rows.values())
    away = [one for one in it.counts.of("right") if one.id not in rows and one.replica not in lost_by]
    assert away == []
    assert seen - kept <= len(lost) + (20 if lost_by else 0)
    tokens, counted = sum(row["tokens"] for row in rows.values()), await it.counted()
    assert abs(tokens - counted) <= (0 if not lost_by else max(500, tokens // 50)), (tokens, counted)


async def test_cut_off_from_the_database() -> None:
    """Such a replica says so and goes on with its share; what was used meanwhile counts afterwards."""
    async with apart() as it:
        it.begin(CLIENTS)
        for replica in it.replicas:
            await is_asked(it, replica)
        alone = it.replicas[0]
        it.network.cut(alone.name, "database")

        async def says(word: str) -> bool:
            return await status(alone) == word

        await until(lambda: says("degraded"))
        assert await status(it.replicas[1]) == "ok"
        assert await alone.get("/health/ready")
        await is_asked(it, alone)
        it.network.heal(alone.name, "database")
        await until(lambda: says("ok"))
        await is_asked(it, alone)
        await judged(it, lost_by=set())


async def test_cut_off_from_the_balancer() -> None:
    """HAProxy takes such a replica out, its clients hear of it, and no request is asked twice."""
    async with apart() as it:
        it.begin(CLIENTS)
        for replica in it.replicas:
            await is_asked(it, replica)
        gone = it.replicas[0]
        session = await session_at(it, gone)
        word = new_canary("slow")
        waits = asyncio.gather(asked(it, session, f"[[sleep 6]] {word}"))

        async def has_been_asked() -> bool:
            return it.counts.reached[word] == 1

        await until(has_been_asked)
        it.network.cut(gone.name, "balancer")
        began = now()

        async def all_go_on() -> bool:
            answered = {one.key for one in it.counts.of("right") if one.began > began}
            return len(answered) == 3

        await until(all_go_on)
        async with asyncio.timeout(45):
            (answer,) = await waits  # its answer is lost on the way, and HAProxy hears nothing more of it
        assert answer.status_code == 502, answer.text
        assert answer.json()["error"]["code"] == "replica_failed"
        assert it.counts.reached[word] == 1
        since = now()
        for replica in it.replicas[1:]:
            await is_asked(it, replica)
        assert it.answered_by(gone, since) == 0
        assert await status(gone) == "ok"
        it.network.heal(gone.name, "balancer")
        await is_asked(it, gone)
        lost = it.counts.of("lost")
        assert all(one.ended - one.began < 60 for one in lost), lost
        await judged(it, lost_by={gone.name})


async def test_starts_ends_and_restarts() -> None:
    """One replica drains and starts again, one is killed with requests in flight, and PostgreSQL restarts."""
    async with apart() as it:
        it.begin(CLIENTS)
        killed, drained, _ = it.replicas
        for replica in it.replicas:
            await is_asked(it, replica)
        assert await drained.drain() == 0
        await drained.start()
        await is_asked(it, drained)
        await killed.kill()
        await asyncio.to_thread(it.server.stop)
        await asyncio.to_thread(it.server.start)
        await killed.start()
        await is_asked(it, killed)
        for replica in it.replicas:
            await until(lambda one=replica: _is_ok(one))  # type: ignore[misc]  # it is awaited here
        await judged(it, lost_by={killed.name})


async def _is_ok(replica: Replica) -> bool:
    return await status(replica) == "ok"
