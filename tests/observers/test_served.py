"""Log, metrics and traces of a real ``serve``, which agree: over HTTP backends, and with the real CLI."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from claude_max_proxy.testing import Reply, ScriptedOpenAI, ScriptedUpstream, Text, fault
from tests.cli.serving_process import Serving, serving
from tests.observers.metrics.reading import Scrape
from tests.observers.traces.collector import Collector, attributes, collecting


pytestmark = pytest.mark.slow
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACED = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
HTTP = """
"gpt" = "local/llama"

[backends.local]
type = "openai"
base_url = "{openai}"
retries = 1
"""
CLI = """
"haiku" = "cli/haiku"

[backends.cli]
type = "claude-cli"
command = {command}
env = {environment}
warm_models = []
"""
REST = """
[server]
log_format = "json"

[plugins.traces]
endpoint = "{collector}"
"""


class Observed:
    """A proxy, its client, its collector, and what it has logged."""

    def __init__(self, proxy: Serving, http: httpx.AsyncClient, collector: Collector) -> None:
        self.proxy = proxy
        self.http = http
        self.collector = collector

    async def ask(self, model: str, *messages: str, **fields: Any) -> httpx.Response:
        """Ask for the next answer in a conversation that the user has begun."""
        roles = ("user", "assistant")
        said = [{"role": roles[index % 2], "content": text} for index, text in enumerate(messages)]
        body = {"model": model, "messages": said, **fields}
        return await self.http.post("/v1/chat/completions", json=body, headers=TRACED)

    async def scrape(self) -> Scrape:
        """Read the metrics."""
        return Scrape((await self.http.get("/metrics")).text)

    async def lines(self, request: str) -> list[dict[str, Any]]:
        """Return the lines of a request, the last of which is the access log's."""
        await self.proxy.says(rf'"logger": "claude_max_proxy.access".*"request_id": "{request}"')
        found = (json.loads(line) for line in self.proxy.said.splitlines() if line.startswith("{"))
        return [line for line in found if line.get("request_id") == request]


@asynccontextmanager
async def observed(folder: Path, toml: str) -> AsyncIterator[Observed]:
    """Serve with this configuration and a collector."""
    with collecting() as collector:
        async with serving(folder, toml + REST.format(collector=collector.url)) as proxy:
            url = (await proxy.says(r"address\s+(\S+)")).removesuffix("/v1")
            async with httpx.AsyncClient(base_url=url, timeout=60) as http:
                yield Observed(proxy, http, collector)
                assert await proxy.stop() == 0


async def test_one_request_everywhere(tmp_path: Path) -> None:
    """A request that was tried again is one in log, metrics and traces, by its id and its client's trace."""
    async with ScriptedOpenAI() as upstream:
        upstream.script(fault(503, "busy"), Reply((Text("Hello you"),), input_tokens=7, output_tokens=3))
        async with observed(tmp_path, HTTP.format(openai=upstream.base_url)) as it:
            before = await it.scrape()
            answer = await it.ask("gpt", "a secret question")
            assert answer.status_code == 200
            name = answer.headers["x-request-id"]
            after = await it.scrape()
            lines = await it.lines(name)
            said = it.proxy.said
    assert len(upstream.requests) == 2
    assert [(line["level"], line["logger"]) for line in lines] == [
        ("warning", "claude_max_proxy.http_upstream.client"),
        ("info", "claude_max_proxy.access"),
    ]
    assert "trying again" in lines[0]["message"]
    assert (lines[1]["backend"], lines[1]["input_tokens"], lines[1]["output_tokens"]) == ("local", 7, 3)
    assert lines[1]["traceparent"] == TRACED["traceparent"]
    assert after.since(before, "requests_total", model="gpt", backend="local", ending="completed") == 1
    assert after.since(before, "tokens_total", kind="output") == 3
    spans = {span.name: span for span in it.collector.spans}
    outer = spans["/v1/chat/completions"]
    assert attributes(outer.attributes)["claude_max_proxy.request.id"] == name
    assert (outer.trace_id.hex(), outer.parent_span_id.hex()) == (TRACE, PARENT)
    assert attributes(spans["chat llama"].attributes)["gen_ai.provider.name"] == "openai"
    assert abs((outer.end_time_unix_nano - outer.start_time_unix_nano) / 1e9 - lines[1]["total"]) < 0.01
    assert "gen_ai.server.request.duration" in it.collector.metrics
    assert "a secret question" not in said + str(it.collector.spans)


async def test_refused_early(tmp_path: Path) -> None:
    """What is refused before a model is known is in all three as well."""
    async with observed(tmp_path, '"gpt" = "claude/one"\n') as it:
        answer = await it.http.post("/v1/messages", json={"model": "gpt"}, headers=TRACED)
        assert answer.status_code == 400
        found = await it.scrape()
        (line,) = await it.lines(answer.headers["request-id"])
    assert (line["status"], line["dialect"], line["ending"]) == (400, "anthropic-messages", "refused")
    assert found.value("requests_total", dialect="anthropic-messages", status="4xx", ending="refused") == 1
    (span,) = it.collector.spans
    assert (span.name, span.trace_id.hex()) == ("/v1/messages", TRACE)


async def test_a_client_that_leaves(tmp_path: Path) -> None:
    """A client that leaves in the middle of an answer is told as such, and is no failure."""
    async with ScriptedOpenAI() as upstream, observed(tmp_path, HTTP.format(openai=upstream.base_url)) as it:
        body = {"model": "gpt", "messages": [{"role": "user", "content": "[[hang]]"}], "stream": True}
        with pytest.raises(httpx.ReadTimeout):
            await it.http.post("/v1/chat/completions", json=body, timeout=0.5)
        await it.proxy.says('"ending": "left"')
        line = next(json.loads(one) for one in it.proxy.said.splitlines() if '"left"' in one)
        found = await it.scrape()
    assert (line["status"], line["level"]) == (499, "info")
    assert found.value("requests_total", ending="left", status="4xx") == 1


async def test_a_reload_changes_the_collector(tmp_path: Path) -> None:
    """Another collector gets what comes after the reload; without one, nothing is sent."""
    async with ScriptedOpenAI() as upstream, observed(tmp_path, HTTP.format(openai=upstream.base_url)) as it:
        await it.ask("gpt", "one")
        file = tmp_path / "proxy.toml"
        text = file.read_text()
        with collecting() as other:
            file.write_text(text.replace(it.collector.url, other.url))
            await it.proxy.says(r"changed: plugins\.traces")
            await it.ask("gpt", "two")
            file.write_text(text.replace(f'endpoint = "{it.collector.url}"', ""))
            await it.proxy.says(r"(?s)changed: plugins\.traces.*changed: plugins\.traces")
            await it.ask("gpt", "three")
        assert len([span for span in it.collector.spans if span.name == "chat llama"]) == 1
        assert len([span for span in other.spans if span.name == "chat llama"]) == 1


async def test_with_the_cli(tmp_path: Path, cli: str) -> None:
    """With the real CLI: its processes, a conversation that is continued in place, and its stages."""
    async with ScriptedUpstream() as upstream:
        environment = ", ".join(
            f"{name} = {json.dumps(value)}" for name, value in upstream.environment().items()
        )
        toml = CLI.format(command=json.dumps(cli), environment=f"{{ {environment} }}")
        async with observed(tmp_path, toml) as it:
            first = await it.ask("haiku", "hi")
            assert first.status_code == 200, first.text
            reply = first.json()["choices"][0]["message"]["content"]
            second = await it.ask("haiku", "hi", reply, "and now?")
            assert second.status_code == 200, second.text
            lines = [(await it.lines(one.headers["x-request-id"]))[-1] for one in (first, second)]
            found = await it.scrape()
    assert [line["live"] for line in lines] == [False, True]
    assert all(0 < line["first_token"] <= line["last_token"] <= line["total"] for line in lines)
    assert found.value("processes", backend="cli") >= 1
    assert found.value("processes_memory_bytes", backend="cli") > 10_000_000
    assert found.value("processes_cpu_seconds_total", backend="cli") > 0.05
    assert found.value("conversations_total", backend="cli", continued="live") == 1
    assert found.value("requests_total", model="haiku", backend="cli", status="2xx") == 2
    questions = [span for span in it.collector.spans if span.kind == 3]
    assert [attributes(span.attributes)["claude_max_proxy.live"] for span in questions] == [False, True]
    assert {attributes(span.attributes)["gen_ai.provider.name"] for span in questions} == {"anthropic"}
    assert [span.name for span in it.collector.spans].count("first token") == 2
