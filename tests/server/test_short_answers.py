"""Embeddings and counts: a client that disconnects, or whose key is revoked, ends the work."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.scripted import SILENCE
from tests.server.exchange import Exchange, running
from tests.server.live_proxy import LiveProxy


PLUGIN = f"""
import asyncio

from claude_max_proxy import Settings, hookimpl
from claude_max_proxy.backend import Backend

began, ended, seen = [], [], []
pause = [{SILENCE}]


async def work(answer):
    began.append(answer)
    try:
        if pause[0] < 0:
            asyncio.current_task().cancel()
        await asyncio.sleep(max(pause[0], 0))
        return answer
    finally:
        ended.append(answer)


class Slow(Backend):
    def __init__(self, name, settings):
        pass

    async def answer(self, request, model):
        return
        yield

    async def embed(self, body, model):
        return await work(b'{{"data": [], "usage": {{"prompt_tokens": 7}}}}')

    async def count_tokens(self, request, model):
        return await work(7)


@hookimpl
def register_backends(register):
    register("slow", Settings, Slow)


@hookimpl
def log_request(record):
    seen.append(record)
"""
TOML = """
backends.claude = { type = "slow" }
models.echo = "claude/one"
"""
KEYS = "[server]\napi_keys = {{ alice = '{}', bob = 'two' }}\n"
PROMPT = [{"role": "user", "content": "hi"}]
ROUTES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "/v1/embeddings": ({"input": "hi"}, {"data": [], "usage": {"prompt_tokens": 7}}),
    "/v1/messages/count_tokens": ({"messages": PROMPT}, {"input_tokens": 7}),
}
routes = pytest.mark.parametrize("path", ROUTES)


def proxy_of(folder: Path, toml: str = TOML) -> LiveProxy:
    """A proxy with the slow backend."""
    return LiveProxy(folder, toml, slow=PLUGIN)


def plugin_of(proxy: LiveProxy) -> Any:
    """Return the plugin's module."""
    return next(one.module for one in proxy.live.runtime.plugins if one.name == "slow")


def asking(path: str) -> Exchange:
    """Return a request to a route, with alice's key."""
    body = msgspec.json.encode({"model": "echo", **ROUTES[path][0]})
    exchange = Exchange(body, authorization="Bearer one")
    exchange._scope |= {"path": path, "raw_path": path.encode()}
    return exchange


@routes
async def test_an_answer(tmp_path: Path, path: str) -> None:
    """What the backend returns is sent, and the request has an id."""
    async with proxy_of(tmp_path).serving() as proxy:
        plugin_of(proxy).pause[0] = 0.01
        answer = await proxy.http.post(path, json={"model": "echo", **ROUTES[path][0]})
        assert (answer.status_code, answer.json()) == (200, ROUTES[path][1])
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-request-id"] == answer.headers["request-id"] != ""


@routes
async def test_who_leaves(tmp_path: Path, path: str) -> None:
    """A client that disconnects ends the backend's work at once, and the request is recorded."""
    async with proxy_of(tmp_path).serving() as proxy:
        plugin, exchange = plugin_of(proxy), asking(path)
        async with running(proxy.live, exchange) as task:
            await proxy.until(lambda: plugin.began)
            assert plugin.ended == []
            exchange.leave()
            await asyncio.wait_for(task, 5)
        assert len(plugin.ended) == 1
        assert [record.status for record in plugin.seen] == [499]
        assert exchange.status == 0


@routes
async def test_whose_key_is_revoked(tmp_path: Path, path: str) -> None:
    """The work for a revoked key ends, and its client is told why."""
    async with proxy_of(tmp_path, TOML + KEYS.format("one")).serving() as proxy:
        plugin, exchange = plugin_of(proxy), asking(path)
        async with running(proxy.live, exchange) as task:
            await proxy.until(lambda: plugin.began)
            proxy.write(TOML + KEYS.format("three"))
            await asyncio.wait_for(task, 5)
        assert (exchange.status, exchange.complete) == (401, True)
        assert b"this proxy no longer accepts this API key" in exchange.body
        assert len(plugin.ended) == 1


@routes
async def test_work_that_cancels_itself(tmp_path: Path, path: str, caplog: pytest.LogCaptureFixture) -> None:
    """A backend that cancels the task it runs in fails its request, and nothing else."""
    async with proxy_of(tmp_path).serving() as proxy:
        plugin_of(proxy).pause[0] = -1.0
        answer = await proxy.http.post(path, json={"model": "echo", **ROUTES[path][0]})
        assert answer.status_code == 500
        assert "was cancelled by none of us" in caplog.text
        assert (await proxy.http.get("/v1/models")).status_code == 200
