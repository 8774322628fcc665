"""Claude Code itself as the client: its own tools, through the proxy, with any model."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from claude_max_proxy.testing import Reply, ScriptedOpenAI, ScriptedUpstream, Text, ToolUse
from tests.end_to_end.conftest import StartProxy
from tests.end_to_end.running import RunningProxy, until


SECRET = "4711"
_TIMEOUT = 90


@pytest_asyncio.fixture(loop_scope="module")
async def local() -> AsyncIterator[ScriptedOpenAI]:
    """Serve a model that speaks only OpenAI's API."""
    async with ScriptedOpenAI() as server:
        yield server


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a project with a file to read, and a home."""
    folder = tmp_path / "project"
    folder.mkdir()
    (tmp_path / "home").mkdir()
    (folder / "note.txt").write_text(f"the secret is {SECRET}\n")
    return folder


async def claude(cli: str, proxy: RunningProxy, project: Path, *arguments: str) -> str:
    """Run Claude Code as a user does, and return what it prints."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(project.parent / "home"),
        "ANTHROPIC_BASE_URL": proxy.url,
        "ANTHROPIC_AUTH_TOKEN": "any",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
    }
    process = await asyncio.create_subprocess_exec(
        *(cli, "-p", "--model", "sonnet", *arguments),
        cwd=project,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_TIMEOUT):
            printed, complained = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, printed + complained
    return printed.decode().strip()


def reading(project: Path) -> Any:
    """Answer first by reading the note, and then with its content."""

    def answer(body: dict[str, Any]) -> Reply:
        if SECRET in json.dumps(body["messages"]):
            return Reply((Text(f"It is {SECRET}."),))
        return Reply((Text("I read."), ToolUse("Read", {"file_path": str(project / "note.txt")})))

    return answer


async def test_over_itself(
    cli: str, start_proxy: StartProxy, upstream: ScriptedUpstream, project: Path
) -> None:
    """It reads a file with its own tool and continues later: one request each, the later ones in place."""
    proxy = await start_proxy()
    upstream.answer_with(reading(project))

    assert await claude(cli, proxy, project, "What is the secret?") == f"It is {SECRET}."
    assert await claude(cli, proxy, project, "--continue", "And again?") == f"It is {SECRET}."
    # For some models, 2.1.197 first sends its notes in a role that they refuse.
    assert len([request for request in upstream.requests if not request.refusal]) == 3
    assert await until(lambda: len(proxy.access()) == 3)
    assert [(status, "  live  " in rest) for status, rest in proxy.access()] == [
        (200, False),
        (200, True),
        (200, True),
    ]


async def test_over_any_model(
    cli: str, start_proxy: StartProxy, local: ScriptedOpenAI, project: Path
) -> None:
    """With a model that is only available through OpenAI's API, it works the same."""
    more = f"""
[backends.local]
type = "openai"
base_url = "{local.base_url}"
models = {{ llama = {{ max_output_tokens = 4096 }} }}

[models]
"claude-*" = "local/llama"
"""
    proxy = await start_proxy(more=more, warm=0)
    local.answer_with(reading(project))

    assert SECRET in await claude(cli, proxy, project, "What is the secret?")
    assert await claude(cli, proxy, project, "--continue", "And again?") == f"It is {SECRET}."
    assert [request.body["model"] for request in local.requests] == ["llama"] * 3
    assert {request.body["max_tokens"] for request in local.requests} == {4096}
    assert await until(lambda: len(proxy.access()) == 3)
    assert [status for status, _ in proxy.access()] == [200] * 3
