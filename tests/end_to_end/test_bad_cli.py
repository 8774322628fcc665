"""A CLI that is missing, old, broken or mad: a clear error in time, a line in /health, and never a hang."""

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

from tests.end_to_end.chatting import answer, ask, body, chunks, streamed_text
from tests.end_to_end.conftest import StartProxy
from tests.end_to_end.running import RunningProxy, until


VERSION = 'if [ "$1" = --version ]; then echo "2.1.197 (Claude Code)"; exit; fi\n'


class Case(msgspec.Struct):
    """A shell script in the CLI's place, and what must be said of it to a client and in /health."""

    script: str
    status: int
    code: str
    text: str
    health: str = "unavailable"


CASES = {
    "too old": Case('echo "1.0.0 (Claude Code)"', 503, "backend_unavailable", "too old"),
    "another program": Case("echo hello", 503, "backend_unavailable", "not the Claude Code CLI"),
    "ends at once": Case(VERSION + "echo broken libfoo >&2; exit 3", 502, "upstream_error", "broken libfoo", "degraded"),
    "garbage": Case(VERSION + "while :; do echo garbage; done", 502, "upstream_error", "garbage", "degraded"),
    "garbage without an end": Case(VERSION + "tr '\\0' x </dev/zero", 502, "upstream_error", "line", "degraded"),
    "garbage, then silence": Case(
        VERSION + "echo garbage; echo '{\"type\": 5}'; exec sleep 600",
        504,
        "upstream_timeout",
        "silent",
        "degraded",
    ),
    "silence": Case(VERSION + "exec sleep 600", 504, "upstream_timeout", "silent", "degraded"),
    "deaf": Case(VERSION + "exec <&-; exec sleep 600", 502, "upstream_error", "gone", "degraded"),
    "broken protocol": Case(
        VERSION + 'while read line; do echo "[1, 2]"; echo null; echo "{}"; done',
        504,
        "upstream_timeout",
        "silent",
        "degraded",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_broken(case: Case, start_proxy: StartProxy, tmp_path: Path) -> None:
    """A program that does not behave as the CLI is an error that says so, whole and streamed."""
    script = tmp_path / "claude"
    script.write_text("#!/bin/sh\n" + case.script + "\n")
    script.chmod(0o755)
    proxy = await start_proxy(str(script), start_timeout=1.5, retries=0)

    await _check(proxy, case)


async def test_missing(start_proxy: StartProxy, tmp_path: Path) -> None:
    """Without the CLI the client learns how to install it."""
    case = Case("", 503, "backend_unavailable", "npm install -g @anthropic-ai/claude-code")
    await _check(await start_proxy(str(tmp_path / "claude")), case)


async def test_not_a_program(start_proxy: StartProxy, tmp_path: Path) -> None:
    """A file that the system cannot run is an error that names it."""
    script = tmp_path / "claude"
    script.write_bytes(b"\x7fELF nonsense")
    script.chmod(0o755)

    await _check(await start_proxy(str(script)), Case("", 503, "backend_unavailable", str(script)))


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


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_killed_in_the_middle(
    stream: bool, proxy: RunningProxy, client: httpx.AsyncClient
) -> None:
    """A CLI that dies in the middle of an answer ends it with an error, and the next request is answered."""
    asking = asyncio.ensure_future(ask(client, "[[pace 0.05 200]]", stream=stream))  # noqa: TID251
    await _busy(proxy, 1)
    await asyncio.sleep(0.5)
    victims = await _kill_all(proxy)
    async with asyncio.timeout(10):
        response = await asking

    assert victims
    if stream:
        assert streamed_text(response).startswith("w0 w1")
        error = chunks(response)[-1]["error"]
    else:
        assert response.status_code == 502
        error = response.json()["error"]
    assert error["code"] == "upstream_error"
    health = await proxy.health()
    assert health["crashes"] >= 1
    assert "ended" in str(health)
    assert await answer(client, "and now?") == "You said: and now?"


async def test_killed_while_parked(proxy: RunningProxy, client: httpx.AsyncClient) -> None:
    """A conversation whose process died between two turns goes on as if nothing had happened."""
    messages: list[dict[str, Any]] = body("before the crash")["messages"]
    messages.append({"role": "assistant", "content": await answer(client, messages)})
    await _busy(proxy, 0)
    await _kill_all(proxy)

    messages.append({"role": "user", "content": "after it"})
    assert await answer(client, messages) == "You said: after it"


async def _busy(proxy: RunningProxy, count: int) -> None:
    async with asyncio.timeout(10):
        while (await proxy.health())["processes"]["busy"] != count:
            await asyncio.sleep(0.02)


async def _kill_all(proxy: RunningProxy) -> list[int]:
    victims = proxy.descendants()
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    await until(lambda: not set(victims) & set(proxy.descendants()))
    return victims
