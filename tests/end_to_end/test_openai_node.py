"""OpenAI's own Node client, whole and streamed: conversations of ten turns, and a tool loop."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from claude_max_proxy.testing import Reply, ScriptedUpstream, Text, Thinking, ToolUse
from tests.end_to_end.chatting import MODEL
from tests.end_to_end.comparing import asked, seen
from tests.end_to_end.running import RunningProxy, until
from tests.installed_cli import ROOT


TURNS = 10
SCRIPT = Path(__file__).with_name("chat.mjs")
CACHE = ROOT / ".cache" / "node"


@pytest.fixture(scope="module")
def packages() -> Path:
    """Return the folder of Node packages with OpenAI's client, installed on first use."""
    folder = CACHE / "node_modules"
    if not (folder / "openai").is_dir():
        npm = shutil.which("npm")
        assert npm, "npm is needed to install the OpenAI client"
        CACHE.mkdir(parents=True, exist_ok=True)
        arguments = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(CACHE), "openai@6"]
        asyncio.run(_run(*arguments))
    return folder


async def _run(*arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(100):
        output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return output.decode()


@pytest.mark.parametrize("mode", ["whole", "streamed"])
async def test_ten_turns(mode: str, packages: Path, proxy: RunningProxy, upstream: ScriptedUpstream) -> None:
    """Each turn goes upstream once, unchanged; each but the first continues in the same process."""
    before = await proxy.settled()
    node = shutil.which("node")
    assert node, "node is needed"

    output = await _run(node, str(SCRIPT), proxy.url, MODEL, str(TURNS), mode, str(packages))

    talk: dict[str, Any] = json.loads(output)
    messages = talk["messages"]
    for number, reply in enumerate(talk["replies"]):
        assert reply["text"] == f"You said: {mode} /turn {number} @file\n"
        assert reply["finish"] == "stop"
        assert reply["usage"]["prompt_tokens"] > 0
        assert asked(messages[: 2 + 2 * number]) == seen(upstream, number)
    assert len(upstream.requests) == TURNS
    await until(lambda: len(proxy.access()) == before + TURNS)
    lines = [(status, "  live  " in rest) for status, rest in proxy.access()[before:]]
    assert lines == [(200, False), *[(200, True)] * (TURNS - 1)]


@pytest.mark.parametrize("mode", ["whole", "streamed"])
async def test_responses(mode: str, packages: Path, proxy: RunningProxy, upstream: ScriptedUpstream) -> None:
    """A tool loop in the Responses API continues in place by the response's id, with one request per step."""
    look = ToolUse("look", {"where": "here"})
    upstream.script(
        Reply((Thinking("Hm."), Text("See:"), look, look)), Reply((look,)), Reply((Text("Done."),))
    )
    before = await proxy.settled()
    node = shutil.which("node")
    assert node, "node is needed"

    output = await _run(node, str(SCRIPT.with_name("respond.mjs")), proxy.url, MODEL, mode, str(packages))

    assert json.loads(output) == {
        "texts": ["See:", "", "Done."],
        "kinds": [["reasoning", "message", *["function_call"] * 2], ["function_call"], ["message"]],
        "same": True,
    }
    assert len(upstream.requests) == 3
    await until(lambda: len(proxy.access()) == before + 3)
    lines = [(status, "  live  " in rest) for status, rest in proxy.access()[before:]]
    assert lines == [(200, False), (200, True), (200, True)]
