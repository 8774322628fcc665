"""``GET /metrics`` of a running proxy, with answers of a scripted backend."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from claude_max_proxy import Failed, PlanWindow, ProcessFacts, Started, __version__
from claude_max_proxy.errors import UpstreamFailed
from claude_max_proxy.observers.metrics import names
from tests.observers.metrics.reading import Scrape
from tests.server.live_proxy import TOML, LiveProxy


KEYS = '[server]\napi_keys = { me = "my-key", boss = { key = "boss-key", admin = true } }\n'
BREAKING = """
import claude_max_proxy as proxy

@proxy.hookimpl
def rewrite_request(request):
    raise ValueError(1)
"""


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[LiveProxy]:
    """A proxy without keys."""
    async with LiveProxy(tmp_path).serving() as live:
        yield live


async def scrape(proxy: LiveProxy, **headers: str) -> Scrape:
    """Read the metrics."""
    answer = await proxy.http.get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Scrape(answer.text)


async def test_an_answer(proxy: LiveProxy) -> None:
    """A request is counted once, with its tokens and its times."""
    before = await scrape(proxy)
    assert (await proxy.ask()).status_code == 200
    after = await scrape(proxy)
    labels = {"dialect": "openai-chat", "model": "echo", "backend": "claude", "status": "2xx"}
    assert after.since(before, "requests_total", **labels, ending="completed") == 1
    assert after.since(before, "requests_total") == 1
    assert after.since(before, "tokens_total", kind="input", model="echo") == 3
    assert after.since(before, "tokens_total", kind="output") == 2
    for name in ("request_duration_seconds", "time_to_first_token_seconds", "queue_wait_seconds"):
        assert after.since(before, f"{name}_count") == 1
        assert after.since(before, f"{name}_bucket", le="+Inf") == 1


@pytest.mark.parametrize(
    ("path", "body", "dialect"),
    [
        ("/v1/chat/completions", "{", "openai-chat"),
        ("/v1/messages", '{"model": "no-such", "max_tokens": 1, "messages": []}', "anthropic-messages"),
        ("/v1/embeddings", '{"model": "echo", "input": "x"}', "openai-embeddings"),
        ("/no/such/route", "{}", ""),
    ],
)
async def test_a_refused_request(proxy: LiveProxy, path: str, body: str, dialect: str) -> None:
    """A request that is refused is counted, also if it never got as far as a model."""
    before = await scrape(proxy)
    answer = await proxy.http.post(path, content=body, headers={"content-type": "application/json"})
    assert 400 <= answer.status_code < 500
    after = await scrape(proxy)
    assert after.since(before, "requests_total") == 1
    assert after.since(before, "requests_total", dialect=dialect, status="4xx", ending="refused") == 1


async def test_a_broken_answer(proxy: LiveProxy) -> None:
    """An answer that fails after its beginning is broken, and has the status of its failure."""
    before = await scrape(proxy)
    proxy.backend.script = [Started("m"), Failed(UpstreamFailed("cut"))]
    body = {"model": "echo", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    await proxy.http.post("/v1/chat/completions", json=body)
    after = await scrape(proxy)
    assert after.since(before, "requests_total", status="5xx", ending="broken") == 1


async def test_a_reload(proxy: LiveProxy) -> None:
    """What was counted stays; whether the last change was accepted is told, and when."""
    await proxy.ask()
    before = await scrape(proxy)
    assert before.value("config_last_reload_successful") == 1
    assert not before.labels("config_last_reload_timestamp_seconds")
    proxy.write(TOML.replace("echo =", '"other" = "claude/two"\necho ='))
    await proxy.changed()
    await proxy.ask("other")
    after = await scrape(proxy)
    assert after.value("requests_total", model="echo") == before.value("requests_total", model="echo")
    assert after.since(before, "requests_total", model="other") == 1
    assert after.value("config_last_reload_timestamp_seconds") > 1e9
    proxy.write("nonsense")
    await proxy.until(lambda: proxy.live.runtime.problem)
    assert (await scrape(proxy)).value("config_last_reload_successful") == 0


async def test_plugin_failures(tmp_path: Path) -> None:
    """A plugin's failures are counted, over all reloads."""
    async with LiveProxy(tmp_path, breaking=BREAKING).serving() as proxy:
        before = await scrape(proxy)
        await proxy.ask()
        found = await scrape(proxy)
        assert found.since(before, "plugin_failures_total", plugin="breaking") == 1
        proxy.write(TOML.replace("echo =", '"other" = "claude/two"\necho ='))
        await proxy.changed()
        await proxy.ask()
        found = await scrape(proxy)
        assert found.since(before, "plugin_failures_total", plugin="breaking") == 2


async def test_what_is_now(proxy: LiveProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes, windows, the backends' status and the version are read when somebody asks."""
    processes = [
        ProcessFacts(1, "asked", memory=100, cpu=1.5),
        ProcessFacts(2, "parked", memory=200, cpu=2.0),
        ProcessFacts(3, "parked", memory=None),
    ]
    windows = [
        PlanWindow("five_hour", 0.5, "allowed", 2e9, runs_out_at=1.9e9),
        PlanWindow("plan", status="rejected"),
    ]
    monkeypatch.setattr(proxy.backend, "processes", lambda: processes, raising=False)
    monkeypatch.setattr(proxy.backend, "windows", lambda: windows, raising=False)
    found = await scrape(proxy)
    cpu = found.value("processes_cpu_seconds_total", backend="claude")
    assert found.value("processes", state="parked", backend="claude") == 2
    assert found.value("processes", state="warm") == 0
    assert found.value("processes_memory_bytes", state="parked") == 200
    assert cpu >= 3.5
    assert found.value("plan_window_used_ratio", window="five_hour", backend="claude") == 0.5
    assert found.value("plan_window_reset_timestamp_seconds", window="five_hour") == 2e9
    assert found.value("plan_window_runs_out_timestamp_seconds", window="five_hour") == 1.9e9
    assert found.value("plan_window_status", window="plan", status="rejected") == 1
    assert found.value("plan_window_status", window="plan") == 1
    assert found.labels("plan_window_used_ratio") == [{"backend": "claude", "window": "five_hour"}]
    assert found.value("backend_status", backend="claude", status="ok") == 1
    assert found.value("build_info", version=__version__, replica="") == 1
    assert found.labels("ledger_rows_waiting") == [{}]
    assert found.value("ledger_database_away") == 0
    assert "process_resident_memory_bytes" in found.families
    # One process has ended, another has the same number, and a third is new.
    processes[:] = [ProcessFacts(2, "asked", cpu=0.25), ProcessFacts(4, "asked", cpu=1.0)]
    assert (await scrape(proxy)).value("processes_cpu_seconds_total") - cpu == 1.25


async def test_under_way(proxy: LiveProxy) -> None:
    """A request that is being answered is seen."""
    seen: list[float] = []

    async def look() -> None:
        seen.append((await scrape(proxy)).value("requests_under_way", backend="claude"))

    proxy.backend.script.insert(0, look)
    await proxy.ask()
    await look()
    assert seen == [1, 0]


async def test_who_may_read(tmp_path: Path) -> None:
    """With keys, only one with ``admin`` may read the metrics, which name keys and never show one."""
    async with LiveProxy(tmp_path, KEYS + TOML).serving() as proxy:
        refused: list[dict[str, str]] = [{}, {"authorization": "Bearer my-key"}]
        for headers in refused:
            answer = await proxy.http.get("/metrics", headers=headers)
            assert answer.status_code in {401, 403}
            assert "claude_max_proxy_" not in answer.text
        await proxy.ask(authorization="Bearer my-key")
        answer = await proxy.http.get("/metrics", headers={"authorization": "Bearer boss-key"})
        assert 'key="me"' in answer.text
        assert "my-key" not in answer.text
        assert "boss-key" not in answer.text


async def test_openmetrics(proxy: LiveProxy) -> None:
    """Who asks for OpenMetrics gets it."""
    await proxy.ask()
    headers = {"accept": "application/openmetrics-text; version=1.0.0"}
    answer = await proxy.http.get("/metrics", headers=headers)
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")


async def test_names(proxy: LiveProxy) -> None:
    """Only what ``names`` has is on the page, and each sample has the labels that it says."""
    await proxy.ask()
    found = await scrape(proxy)
    known = {one.name: one for one in names.METRICS}
    for name, pairs in found.samples:
        if not name.startswith(names.PREFIX):
            continue
        plain = name if name in known else name.rpartition("_")[0]
        assert {label for label, _ in pairs} - {"le"} == set(known[plain].labels), name


@pytest.mark.skipif(shutil.which("promtool") is None, reason="Prometheus is not installed")
async def test_promtool(proxy: LiveProxy) -> None:
    """Prometheus' own tool finds nothing wrong with the page."""
    await proxy.ask()
    text = (await proxy.http.get("/metrics")).text
    assert await asyncio.to_thread(promtool, text) == (0, "", "")


def promtool(text: str) -> tuple[int, str, str]:
    """Return what ``promtool check metrics`` says about a page."""
    command = ["promtool", "check", "metrics"]
    ended = subprocess.run(command, input=text, capture_output=True, text=True, timeout=30, check=False)
    return ended.returncode, ended.stdout, ended.stderr


async def test_switched_off(tmp_path: Path) -> None:
    """Without the plugin there is no such route."""
    async with LiveProxy(tmp_path, f"{TOML}[plugins.metrics]\nenabled = false\n").serving() as proxy:
        assert (await proxy.http.get("/metrics")).status_code == 404
