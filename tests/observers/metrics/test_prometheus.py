"""A real Prometheus reads the metrics of a proxy under traffic, and answers the dashboard's questions."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from claude_max_proxy.testing import Reply, ScriptedOpenAI, Text
from tests.cli.serving_process import serving
from tests.docs.test_dashboard import queries


pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not installed"),
]
KEY = "a-long-admin-key"
TOML = """
"gpt" = "local/llama"

[backends.local]
type = "openai"
base_url = "{openai}"

[server]
api_keys = {{ boss = {{ key = "{key}", admin = true }} }}

[plugins.budgets.backends.local]
tokens_per_day = 1_000_000
"""
SCRAPING = """
global: {{ scrape_interval: 2s, scrape_timeout: 2s }}
scrape_configs:
  - job_name: claude-max-proxy
    authorization: {{ credentials_file: {folder}/key }}
    static_configs: [{{ targets: ["{target}"] }}]
"""


class Prometheus:
    """A running Prometheus."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def ask(self, query: str) -> list[Any]:
        """Return the answer to a query; one that Prometheus refuses fails the test."""
        answer = await self._http.get("/api/v1/query", params={"query": query})
        assert answer.status_code == 200, f"{query}: {answer.text}"
        found: list[Any] = answer.json()["data"]["result"]
        return found

    async def value(self, query: str) -> float:
        """Return the value of a query that has one series, or 0 for none."""
        found = await self.ask(query)
        return float(found[0]["value"][1]) if found else 0.0

    async def until(self, true: Callable[[], Awaitable[bool]]) -> None:
        """Wait until it has seen something."""
        async with asyncio.timeout(80):
            while not await true():  # noqa: ASYNC110  # another process has no event for this
                await asyncio.sleep(0.3)


@asynccontextmanager
async def prometheus(folder: Path, target: str) -> AsyncIterator[Prometheus]:
    """Run Prometheus on loopback, which reads the metrics at ``target`` every other second."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    (folder / "key").write_text(KEY)
    (folder / "prometheus.yml").write_text(SCRAPING.format(folder=folder, target=target))
    process = await asyncio.create_subprocess_exec(
        "prometheus",
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address={address}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://{address}", timeout=10) as http:
            async with asyncio.timeout(80):
                ready = False
                while not ready:
                    assert process.returncode is None
                    with contextlib.suppress(httpx.TransportError):
                        ready = (await http.get("/-/ready")).status_code == 200
                    await asyncio.sleep(0.2)
            yield Prometheus(http)
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 20)


async def chat(http: httpx.AsyncClient, number: int) -> int:
    """Ask a question, every fifth of which is wrong, and every third streamed; return the status."""
    body = {
        "model": "no-such" if number % 5 == 0 else "gpt",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": number % 3 == 0,
    }
    return (await http.post("/v1/chat/completions", json=body)).status_code


async def test_a_real_prometheus(tmp_path: Path) -> None:
    """It reads what was asked, exactly, and every question of the dashboard can be asked."""
    async with ScriptedOpenAI() as upstream:
        upstream.answer_with(
            lambda _: Reply((Text("one two three"),), input_tokens=10, output_tokens=5, cache_read=40)
        )
        toml = TOML.format(openai=upstream.base_url, key=KEY)
        async with serving(tmp_path, toml) as proxy:
            url = (await proxy.says(r"address\s+(\S+)")).removesuffix("/v1")
            headers = {"authorization": f"Bearer {KEY}"}
            async with (
                prometheus(tmp_path, url.removeprefix("http://")) as seen,
                httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as http,
            ):
                await ask_and_look(http, seen)


async def ask_and_look(http: httpx.AsyncClient, seen: Prometheus) -> None:
    """Ask in rounds, so that Prometheus sees counters grow, and compare what it has seen."""
    statuses: list[int] = []
    for round_ in range(4):
        statuses += await asyncio.gather(*(chat(http, 10 * round_ + number) for number in range(10)))
        await asyncio.sleep(2.2)
    assert sorted(set(statuses)) == [200, 404]
    total = "sum(claude_max_proxy_requests_total)"

    async def all_seen() -> bool:
        return await seen.value(total) == len(statuses)

    await seen.until(all_seen)
    assert await seen.value('up{job="claude-max-proxy"}') == 1
    assert await seen.value('sum(claude_max_proxy_requests_total{status="4xx"})') == statuses.count(404)
    answered = statuses.count(200)
    assert await seen.value('sum(claude_max_proxy_tokens_total{kind="cache_read"})') == 40 * answered
    assert await seen.value("sum(claude_max_proxy_time_to_first_token_seconds_count)") == answered
    silent = []
    for query in queries():
        asked = query.replace("$__rate_interval", "20s").replace("$instance", ".*")
        if not await seen.ask(asked):
            silent.append(query)
    # Without a plan, a conversation that is kept, a reasoning model, a failure and a database of several
    # replicas, these have nothing to say.
    nothing = re.compile(
        r"plan_window|conversations|replays|processes_(memory|cpu)|reasoning|\(state\)|5xx|_replicas"
    )
    assert not [query for query in silent if not nothing.search(query)], silent
