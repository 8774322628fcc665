"""The ledger of a real proxy, under load and faults, says exactly what its upstream saw."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import sqlite3
from collections import Counter
from pathlib import Path

import httpx
import pytest

from claude_max_proxy.testing import ScriptedOpenAI
from tests.cli.serving_process import Serving, serving, write


pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]

REQUESTS = 3000  # 10,000 take five minutes on a busy machine
CLIENTS = 24
RELOADS = 6
_TIME_LIMIT = 200  # seconds
_UNWRITTEN = 1.0  # seconds: what ended longer before a kill must be in the database
TOML = """
gpt = "upstream/gpt-4o"

[backends.upstream]
type = "openai"
base_url = "{url}"

[plugins.ledger]
url = "sqlite:///{ledger}"
keep_days = {days}
"""


class Told(dict[str, tuple[str, float]]):
    """What clients were told of each request, by its id: how it ended for them, and when."""


class Load:
    """Clients that ask, leave, break off, and ask what cannot be answered, until they are told to stop."""

    def __init__(self, url: str, seed: int, told: Told) -> None:
        """Remember whom to ask."""
        self.url = f"{url}/chat/completions"
        self.chance = random.Random(seed)
        self.told = told
        self.left = 0
        self.went_wrong = Counter[str]()

    async def run(self, requests: int) -> None:
        """Ask so many questions, several at a time, or until the proxy is gone."""
        self.left = requests
        limits = httpx.Limits(max_connections=CLIENTS)
        async with httpx.AsyncClient(timeout=30, limits=limits) as http, asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(self._client(http))

    async def _client(self, http: httpx.AsyncClient) -> None:
        while self.left > 0:
            self.left -= 1
            try:
                await self._ask(http)
            except httpx.HTTPError as error:
                self.went_wrong[type(error).__name__] += 1
                if isinstance(error, httpx.ConnectError):
                    return

    async def _ask(self, http: httpx.AsyncClient) -> None:
        kind = self.chance.choices(
            ["whole", "stream", "leave", "unknown", "bad", "fails"], [40, 30, 10, 8, 6, 6]
        )[0]
        text = "[[status 400 no]]" if kind == "fails" else "[[deltas 6]]"
        body: dict[str, object] = {"model": "gpt", "messages": [{"role": "user", "content": text}]}
        if kind == "unknown":
            body["model"] = "nobody"
        if kind == "bad":
            body["messages"] = "what?"
        body["stream"] = kind in {"stream", "leave"}
        async with http.stream("POST", self.url, json=body) as answer:
            id_ = answer.headers["x-request-id"]
            if kind != "leave":
                await answer.aread()
        self.told[id_] = (kind, asyncio.get_running_loop().time())


def rows(file: Path) -> dict[str, sqlite3.Row]:
    """Return the rows of a ledger by their ids."""
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.row_factory = sqlite3.Row
        return {row["id"]: row for row in database.execute("SELECT * FROM requests")}


async def reload_often(proxy: Serving, toml: str) -> None:
    """Save another configuration a few times while requests run; the last one stays."""
    for number in range(RELOADS):
        await asyncio.sleep(1.5)
        write(proxy.folder, toml.replace("keep_days = 90", f"keep_days = {80 + number}"))


async def under_load(folder: Path, toml: str, requests: int, told: Told, *, killed: bool) -> float:
    """Run a proxy for so many requests, with reloads; return when it was killed or told to stop."""
    async with serving(folder, toml) as proxy:
        url = await proxy.says(r"address\s+(\S+)")
        load = Load(url, requests, told)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_TIME_LIMIT), asyncio.TaskGroup() as group:
            running = group.create_task(load.run(requests * (10 if killed else 1)))
            reloading = group.create_task(reload_often(proxy, toml))
            if killed:
                before = len(told)
                while len(told) - before < requests:  # noqa: ASYNC110  # requests have no event for this
                    await asyncio.sleep(0.05)
                ended = loop.time()
                proxy.process.kill()
                reloading.cancel()
            await running
        if not killed:
            ended = loop.time()
            assert await proxy.stop(signal.SIGTERM) == 0
            assert not load.went_wrong, load.went_wrong
        assert "Traceback" not in proxy.said
        return ended


async def test_the_ledger_says_what_the_upstream_saw(tmp_path: Path) -> None:
    """With clients that leave, reloads and a kill, nothing counts twice and at most the last moment is lost.

    Every answer that a client got is a row with the tokens that the upstream gave, and every row is a
    request that a client sent.
    """
    ledger = tmp_path / "ledger.sqlite"
    told = Told()
    async with ScriptedOpenAI(recording=False) as upstream:
        toml = TOML.format(url=upstream.base_url, ledger=ledger, days=90)
        killed_at = await under_load(tmp_path, toml, REQUESTS // 4, told, killed=True)
        before = dict(told)
        after_kill = await asyncio.to_thread(rows, ledger)
        await under_load(tmp_path, toml, REQUESTS - REQUESTS // 4, told, killed=False)
        asked = upstream.count
    kept = await asyncio.to_thread(rows, ledger)
    missing = set(told) - set(kept)
    assert len(told) >= REQUESTS * 0.8
    assert all(id_ in before and killed_at - told[id_][1] < _UNWRITTEN for id_ in missing), len(missing)
    assert set(after_kill) <= set(kept)
    judge(told, kept)
    # The upstream saw every request that was led to it: those that are rows, and those that the kill took.
    led = sum(bool(row["backend"]) for row in kept.values())
    assert led <= asked <= led + len(missing) + CLIENTS * 2


def judge(told: Told, kept: dict[str, sqlite3.Row]) -> None:
    """Compare each row with what its client was told."""
    for id_, (kind, _) in told.items():
        row = kept.get(id_)
        if row is None:
            continue
        tokens = (row["input_tokens"], row["output_tokens"])
        match kind:
            case "whole" | "stream":
                assert (row["status"], row["ending"]) == (200, "completed"), dict(row)
                assert tokens == (10, 6), dict(row)
            case "leave":
                assert row["ending"] in {"left", "completed"}, dict(row)
            case "unknown":
                assert (row["status"], row["ending"], tokens) == (404, "refused", (0, 0)), dict(row)
            case _:
                assert (row["status"], row["ending"], tokens) == (400, "refused", (0, 0)), dict(row)
