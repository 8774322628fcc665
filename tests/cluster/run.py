"""Three replicas, HAProxy and PostgreSQL on loopback: brings them up, makes faults, judges what happened."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import secrets
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg.rows import dict_row

from claude_max_proxy.testing import ScriptedUpstream
from tests import haproxy, postgresql
from tests.attack.soak.faults import RecitingOpenAI
from tests.cluster.counting import Counts, Outcome, outcomes
from tests.cluster.replica import Replica
from tests.cluster.talking import LONGEST, SPENDER, clients


NAMES = ["proxy-0", "proxy-1", "proxy-2"]
BUDGET = 3_000  # of all replicas together
_SPENDERS, _LARGEST = 4, 25  # clients, and tokens of a request that is under way when the budget is used up
_TOML = """
[server]
replica = "{name}"
api_keys = {{ one = "one", two = "two", three = "three", spender = "spender" }}
drain_notice = 5.0
drain_timeout = 30.0

[shared]
url = "{database}"
encryption_key = "{seal}"

[models]
cli = "claude/sonnet"
openai = "http/any"
anthropic = "messages/claude-any"

[backends.claude]
type = "claude-cli"
command = {command}
max_processes = 16
ask_plan = false

[backends.http]
type = "openai"
base_url = "{openai}"

[backends.messages]
type = "anthropic"
base_url = "{anthropic}"
api_key = "sk-ant-dummy"

[plugins]
paths = []

[plugins.budgets.keys.spender]
tokens_per_month = {budget}
"""
ROWS = """
SELECT id, key, replica, live, replayed, backend <> '' AND code = '' AS asked,
       input_tokens + output_tokens + cache_read_tokens + cache_write_tokens AS tokens FROM requests
"""

Say = Callable[[str], None]


def missing() -> str:
    """Return what is not there; empty if all is."""
    return "; ".join(filter(None, (haproxy.missing(), postgresql.missing())))


class Cluster:
    """Everything that runs, and what is known of it."""

    def __init__(
        self, replicas: list[Replica], server: postgresql.PostgreSQL, database: str, url: str, say: Say
    ) -> None:
        """Remember what runs."""
        self.replicas = replicas
        self.server = server
        self.database = database
        self.url = url
        self.say = say
        self.counts = Counts()

    async def traffic(self, seconds: float, number: int, seed: int) -> None:
        """Let clients talk for a while, and make faults meanwhile."""
        loop, chance = asyncio.get_running_loop(), random.Random(seed)
        until = loop.time() + seconds
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(
            base_url=self.url, timeout=LONGEST, limits=limits, trust_env=False
        ) as http:
            those = clients(http, self.counts, chance, number, _SPENDERS)
            models = ["cli", "cli", "openai", "anthropic"]
            talking = [
                one.keep_talking(models[index % len(models)], lambda: loop.time() >= until)
                for index, one in enumerate(those[:number])
            ]
            # Without the database, each replica decides by its share: so this is over before that.
            talking += [one.spend("openai", until - 0.4 * seconds) for one in those[number:]]
            async with asyncio.timeout(seconds + 3 * LONGEST), asyncio.TaskGroup() as group:
                for work in talking:
                    group.create_task(work)
                group.create_task(self._faults(until, seconds))

    async def _faults(self, until: float, seconds: float) -> None:
        """Kill a replica, drain another, and take the database away for a while, one after the other."""
        one, two, _ = self.replicas
        await self._at(until - 0.85 * seconds, f"kill -9 of {one.name}")
        await one.kill()
        await self._at(until - 0.80 * seconds, f"start of {one.name}")
        await one.start()
        await self._at(until - 0.60 * seconds, f"SIGTERM to {two.name}")
        status = await two.drain()
        await self._at(0, f"{two.name} has ended with status {status}; start of {two.name}")
        await two.start()
        await self._at(until - 0.35 * seconds, "end of PostgreSQL")
        await asyncio.to_thread(self.server.stop)
        try:
            await self._at(until - 0.15 * seconds, "start of PostgreSQL")
        finally:
            await asyncio.to_thread(self.server.start)

    async def _at(self, time: float, what: str) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(time - loop.time())
        right, lost = len(self.counts.of("right")), len(self.counts.of("lost"))
        self.say(f"  {right:6,} turns answered, {lost} requests lost; now: {what}")

    async def judged(self) -> list[Outcome]:
        """End the replicas, which writes what waits, and judge what happened."""
        self.say("  ending the replicas, which write what waits for the database")
        statuses = await asyncio.gather(*(replica.drain() for replica in self.replicas))
        kill = self.replicas[0].killed
        rows = {row["id"]: row for row in await asyncio.to_thread(_rows, self.database)}
        budget = SPENDER, BUDGET, BUDGET + _SPENDERS * _LARGEST
        found = outcomes(self.counts, rows, kill, budget)
        errors = sum(replica.log.count("Traceback") for replica in self.replicas)
        return [
            *found,
            Outcome(
                "replicas that did not end properly", str(sum(map(bool, statuses))), "0", not any(statuses)
            ),
            Outcome("tracebacks in the logs", str(errors), "0", not errors),
        ]


def _rows(database: str) -> list[dict[str, Any]]:
    with psycopg.connect(database, row_factory=dict_row, connect_timeout=10) as connection:
        return connection.execute(ROWS).fetchall()


@asynccontextmanager
async def cluster(command: str, say: Say) -> AsyncIterator[Cluster]:
    """Start everything with the CLI ``command``, and end it at the end."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cluster-", dir="/tmp")))
        say("  PostgreSQL")
        server = stack.enter_context(postgresql.postgresql())
        openai = await stack.enter_async_context(RecitingOpenAI(recording=False))
        anthropic = await stack.enter_async_context(ScriptedUpstream(recording=False))
        facts = {
            "database": server.new_database(),
            "seal": base64.b64encode(secrets.token_bytes(32)).decode(),
            "command": json.dumps(command),
            "openai": openai.base_url,
            "anthropic": anthropic.url,
            "budget": BUDGET,
        }
        replicas = []
        for name in NAMES:
            toml = _TOML.format(name=name, **facts)
            replicas.append(Replica(name, folder, toml, anthropic.environment()))
            stack.push_async_callback(replicas[-1].end)
        say(f"  {len(replicas)} replicas with the CLI {command}")
        await asyncio.gather(*(replica.start() for replica in replicas))
        say("  HAProxy")
        balancer = stack.enter_context(haproxy.haproxy({one.name: one.place for one in replicas}))
        running = Cluster(replicas, server, str(facts["database"]), balancer.url, say)
        for upstream in (openai, anthropic):
            upstream.answer_with(running.counts.answer)
        yield running
