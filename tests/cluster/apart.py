"""Three replicas over HTTP behind HAProxy, each in a network namespace of its own, and PostgreSQL."""

from __future__ import annotations

import asyncio
import base64
import random
import secrets
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg.rows import dict_row

from claude_max_proxy.concurrency.tasks import Tasks
from tests import haproxy, postgresql
from tests.attack.soak.faults import RecitingOpenAI
from tests.cluster import network
from tests.cluster.counting import Counts
from tests.cluster.replica import Replica
from tests.cluster.run import ROWS
from tests.cluster.talking import LONGEST, clients


NAMES = ["proxy-0", "proxy-1", "proxy-2"]
PER_DAY = 10**9  # tokens: a budget that is leased, and never used up
_TOML = """
[server]
host = "0.0.0.0"
replica = "{name}"
api_keys = {{ one = "one", two = "two", three = "three" }}
trusted_proxies = ["10.77.0.0/16"]
drain_notice = 5.0
drain_timeout = 30.0

[shared]
url = "{database}"
encryption_key = "{seal}"

[models]
openai = "http/any"

[backends.http]
type = "openai"
base_url = "{openai}"

[plugins]
paths = []

[plugins.budgets.backends.http]
tokens_per_day = {per_day}
"""


def missing() -> str:
    """Return what is not there; empty if all is."""
    return "; ".join(filter(None, (haproxy.missing(), postgresql.missing(), network.missing())))


class Apart:
    """Everything that runs, and what is known of it."""

    def __init__(
        self,
        net: network.Network,
        replicas: list[Replica],
        server: postgresql.PostgreSQL,
        database: str,
        socket: Path,
    ) -> None:
        """Remember what runs."""
        self.network, self.replicas, self.server = net, replicas, server
        self.database, self._socket = database, socket
        self.http = self.client()
        self.counts = Counts()
        self._is_over = False
        self._tasks = Tasks()
        self._talking: list[asyncio.Task[None]] = []

    def client(self) -> httpx.AsyncClient:
        """Return a new client of HAProxy."""
        limits = httpx.Limits(max_connections=None)
        transport = httpx.AsyncHTTPTransport(uds=str(self._socket), limits=limits)
        return httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=LONGEST)

    def begin(self, number: int) -> None:
        """Let so many clients talk until :meth:`end`."""
        those = clients(self.http, self.counts, random.Random(7), number, 0)
        self._talking = [
            self._tasks.start(one.keep_talking("openai", lambda: self._is_over), "client") for one in those
        ]

    async def end(self) -> None:
        """Let the clients come to an end."""
        self._is_over = True
        async with asyncio.timeout(LONGEST):
            await asyncio.gather(*self._talking)

    def answered_by(self, replica: Replica, since: float) -> int:
        """Return how many requests that began since then a replica has answered."""
        right = self.counts.of("right")
        return sum(one.replica == replica.name and one.began >= since for one in right)

    async def rows(self) -> dict[str, dict[str, Any]]:
        """Return the rows of the ledger by their ids."""
        return {str(row["id"]): row for row in await self._read(ROWS)}

    async def counted(self) -> int:
        """Return the tokens that are counted for the budget."""
        (row,) = await self._read("SELECT coalesce(sum(tokens), 0)::bigint AS tokens FROM shared_spent")
        return int(row["tokens"])

    async def _read(self, query: str) -> list[dict[str, Any]]:
        def read() -> list[dict[str, Any]]:
            with psycopg.connect(self.database, row_factory=dict_row, connect_timeout=10) as connection:
                return connection.execute(query.encode()).fetchall()

        return await asyncio.to_thread(read)


@asynccontextmanager
async def apart() -> AsyncIterator[Apart]:
    """Start everything, and end it at the end."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="apart-", dir="/tmp")))
        server = stack.enter_context(postgresql.postgresql())
        database = server.new_database()
        openai = await stack.enter_async_context(RecitingOpenAI(recording=False))
        net = stack.enter_context(network.network(NAMES))
        provider_port = httpx.URL(openai.base_url).port

        async def to_provider() -> network.Connected:
            return await asyncio.open_connection("127.0.0.1", provider_port)

        async def to_database() -> network.Connected:
            return await asyncio.open_unix_connection(str(server.folder / ".s.PGSQL.5432"))

        for link, port, connect in (("provider", 80, to_provider), ("database", 5432, to_database)):
            await stack.enter_async_context(network.forwarded(net.listener(link, port), connect))
        name = database.partition("@/")[2].partition("?")[0]
        facts = {
            "database": f"postgresql://owner@{net.address('', 'database')}/{name}",
            "seal": base64.b64encode(secrets.token_bytes(32)).decode(),
            "openai": f"http://{net.address('', 'provider')}{httpx.URL(openai.base_url).path}",
            "per_day": PER_DAY,
        }
        replicas = []
        for name in NAMES:
            replicas.append(
                Replica(
                    name,
                    folder,
                    _TOML.format(name=name, **facts),
                    {},
                    inside=net.inside(name),
                    address=net.address(name, "balancer"),
                )
            )
            stack.push_async_callback(replicas[-1].end)
        await asyncio.gather(*(replica.start() for replica in replicas))
        places = {one.name: one.place for one in replicas}
        balancer = stack.enter_context(haproxy.haproxy(places, net.inside("")))
        running = Apart(net, replicas, server, database, balancer.socket)
        await stack.enter_async_context(running.http)
        openai.answer_with(running.counts.answer)
        yield running
