"""A CLI that is missing, old or broken: a clear error in time, a line in /health, and never a hang."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from claude_max_proxy.testing import ScriptedUpstream
from tests.end_to_end.chatting import ROUTE, answer, ask, body, chunks, streamed_text
from tests.end_to_end.conftest import StartProxy
from tests.end_to_end.running import RunningProxy, until


VERSION = 'if [ "$1" = --version ]; then echo "2.1.197 (Claude Code)"; exit; fi\n'


class Case(msgspec.Struct):
    """A shell script in the CLI's place, and what a client and /health must be told about it."""

    script: str
    status: int
    code: str
    text: str
    health: str = "unavailable"


CASES = {
    "too old": Case('echo "1.0.0 (Claude Code)"', 503, "backend_unavailable", "too old"),
    "another program": Case("echo hello", 503, "backend_unavailable", "not the Claude Code CLI"),
    "ends at once": Case(
        VERSION + "echo broken libfoo >&2; exit 3", 502, "upstream_error", "broken libfoo", "degraded"
    ),
    "garbage": Case(VERSION + "while :; do echo garbage; done", 502, "upstream_error", "garbage", "degraded"),
    "garbage without an end": Case(
        VERSION + "tr '\\0' x </dev/zero", 502, "upstream_error", "line", "degraded"
    ),
    "garbage, then silence": Case(
        VERSION + "echo garbage; echo '{\"type\": 5}'; exec sleep 600",
        504,
        "upstream_timeout",
        "silent",
        "degraded",
    ),
    "silence": Case(VERSION + "exec sleep 600", 504, "upstream_timeout", "silent", "degraded"),
    "broken protocol": Case(
        VERSION + 'while read line; do echo "[1, 2]"; echo null; echo "{}"; done',
        504,
        "upstream_timeout",
        "silent",
        "degraded",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_broken(case: Case, run_proxy: StartProxy, tmp_path: Path) -> None:
    """A program that does not behave like the CLI is an error that says so, whole and streamed."""
    script = tmp_path / "claude"
    script.write_text("#!/bin/sh\n" + case.script + "\n")
    script.chmod(0o755)
    proxy = await run_proxy(str(script), start_timeout=1.5, retries=0)

    await _check(proxy, case)


async def test_missing(run_proxy: StartProxy, tmp_path: Path) -> None:
    """Without the CLI the client learns how to install it."""
    case = Case("", 503, "backend_unavailable", "npm install -g @anthropic-ai/claude-code")
    await _check(await run_proxy(str(tmp_path / "claude")), case)


async def test_not_a_program(run_proxy: StartProxy, tmp_path: Path) -> None:
    """A file that the system cannot run is an error that names it."""
    script = tmp_path / "claude"
    script.write_bytes(b"\x7fELF nonsense")
    script.chmod(0o755)

    await _check(await run_proxy(str(script)), Case("", 503, "backend_unavailable", str(script)))


async def _check(proxy: RunningProxy, case: Case) -> None:
    began = time.monotonic()
    async with proxy.client() as client, asyncio.timeout(15):
        responses = await asyncio.gather(*(ask(client, "hi", stream=stream) for stream in (False, True)))
        health = await client.get("/health")

    for response in responses:
        error = response.json()["error"]
        assert (case.status, case.code) == (response.status_code, error["code"])
        assert case.text in error["message"]
    assert time.monotonic() - began < 10
    facts = health.json()["backends"]["claude"]
    assert facts["status"] == case.health
    assert case.text in str(facts)
    assert health.status_code == (503 if case.health == "unavailable" else 200)


async def test_killed_in_the_stream(proxy: RunningProxy, client: httpx.AsyncClient) -> None:
    """A CLI that dies in the middle of a stream ends it with an error, and the next request is answered."""
    async with client.stream("POST", ROUTE, json=body("[[pace 0.05 400]]", stream=True)) as response:
        pieces = response.aiter_text()
        text = ""
        while "w2" not in text:
            text += await anext(pieces)
        await _kill_all(proxy)
        async with asyncio.timeout(5):
            text += "".join([piece async for piece in pieces])

    complete = httpx.Response(200, headers=response.headers, text=text)
    assert streamed_text(complete).startswith("w0 w1 w2")
    assert chunks(complete)[-1]["error"]["code"] == "upstream_error"
    health = await proxy.health()
    assert health["crashes"] >= 1
    assert "ended" in health["last_failure"]
    assert await answer(client, "and now?") == "You said: and now?"


async def test_killed_in_a_whole_reply(
    proxy: RunningProxy, client: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    """A CLI that dies in the middle of a whole reply is replaced, as the client has received nothing yet."""
    asking = asyncio.get_running_loop().create_task(ask(client, "[[pace 0.05 100]]"))
    assert await until(lambda: upstream.requests, 10)
    await asyncio.sleep(1)
    await _kill_all(proxy)
    async with asyncio.timeout(20):
        response = await asking

    assert response.status_code == 200, response.text
    assert response.json()["choices"][0]["message"]["content"].split() == [f"w{n}" for n in range(100)]
    assert len(upstream.requests) == 2


async def test_killed_while_parked(proxy: RunningProxy, client: httpx.AsyncClient) -> None:
    """A conversation whose process died between two turns continues as if nothing had happened."""
    messages: list[dict[str, Any]] = body("before the crash")["messages"]
    messages.append({"role": "assistant", "content": await answer(client, messages)})
    await _kill_all(proxy)

    messages.append({"role": "user", "content": "after it"})
    assert await answer(client, messages) == "You said: after it"


async def _kill_all(proxy: RunningProxy) -> None:
    victims = proxy.descendants()
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    await until(lambda: not set(victims) & set(proxy.descendants()))
