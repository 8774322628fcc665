"""Agent mode: Claude Code with its own tools, behind a name in `[models]`, and nowhere else."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from claude_max_proxy.testing import Reply, ScriptedUpstream, Text, ToolUse
from tests.end_to_end.chatting import ask, streamed_text
from tests.end_to_end.comparing import seen_system, text_turns
from tests.end_to_end.running import RunningProxy
from tests.end_to_end.working import MODELS, function, live, offered


PROXY_TOML = (
    MODELS
    + """
reader = { to = "claude/sonnet", agent = { tools = ["Read"], directory = "~/project" } }
informed.to = "claude/sonnet"
informed.agent = { tools = ["Read"], directory = "~/project", settings = ["project"] }
lost = { to = "claude/sonnet", agent = { tools = ["Read"], directory = "~/nowhere" } }
"""
)
CANARY, MEMORY = "the canary sings", "The project remembers this."


@pytest.fixture(autouse=True)
def project(proxy: RunningProxy) -> str:
    """Make a project with a note and a memory file, and return its directory."""
    folder = proxy.home / "project"
    folder.mkdir(exist_ok=True)
    (folder / "note.txt").write_text(CANARY)
    (folder / "CLAUDE.md").write_text(MEMORY)
    return str(folder)


def wire(upstream: ScriptedUpstream, index: int = -1) -> str:
    """Return one of the upstream's requests as text."""
    return json.dumps(upstream.requests[index].body)


@pytest.mark.parametrize("stream", [False, True])
async def test_it_works_by_itself(
    stream: bool, project: str, client: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    """The CLI's own tool runs in the directory; its result goes upstream, and the client sees only text."""
    upstream.script(
        Reply((Text("Let me look."), ToolUse("Read", {"file_path": f"{project}/note.txt"}))),
        Reply((Text("It sings."),)),
    )
    messages = [{"role": "system", "content": "Be brief."}, *text_turns("What does the note say?")]

    response = await ask(client, messages, model="reader", stream=stream)

    assert response.status_code == 200, response.text
    said = streamed_text(response) if stream else response.json()["choices"][0]["message"]["content"]
    assert said == "Let me look.\n\nIt sings."
    assert "tool_calls" not in response.text
    assert CANARY in wire(upstream)
    assert project in wire(upstream)
    assert offered(upstream) == ["Read"]
    assert MEMORY not in wire(upstream)
    assert seen_system(upstream).endswith("Be brief.")
    assert len(upstream.requests) == 2


async def test_it_goes_on(
    project: str, proxy: RunningProxy, client: httpx.AsyncClient, upstream: Any
) -> None:
    """The next turn continues in the same process, and the model still knows what it did."""
    upstream.script(
        Reply((ToolUse("Read", {"file_path": f"{project}/note.txt"}),)),
        Reply((Text("It sings."),)),
        Reply((Text("As I said."),)),
    )
    await proxy.settled()
    before = len([one for one in proxy.access() if one[1].startswith("reader")])
    first = (await ask(client, "look", model="reader")).json()["choices"][0]["message"]["content"]

    await ask(client, text_turns("look", first, "again"), model="reader")

    assert CANARY in wire(upstream)
    assert (await live(proxy, "reader", before + 2))[-1]


async def test_settings_let_memory_in(client: httpx.AsyncClient, upstream: ScriptedUpstream) -> None:
    """An entry that names the project's settings includes the project's memory."""
    await ask(client, "hi", model="informed")

    assert MEMORY in wire(upstream)


async def test_other_tools_are_not_offered(
    project: str, client: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    """A tool that the entry does not name is not offered, and does not run even if it is called."""
    upstream.script(
        Reply((ToolUse("Bash", {"command": f"cat {project}/note.txt"}),)), Reply((Text("I could not."),))
    )

    response = await ask(client, "print it", model="reader")

    assert response.json()["choices"][0]["message"]["content"] == "I could not."
    assert offered(upstream) == ["Read"]
    assert CANARY not in wire(upstream)


AGENT = {"tools": ["Read"], "directory": "~/project"}
TRIES: dict[str, dict[str, Any]] = {
    "agent": {"agent": AGENT},
    "extra_body": {"extra_body": {"agent": AGENT}},
    "target": {"to": "claude/sonnet", "settings": ["project"], "permission_mode": "acceptEdits"},
    "metadata": {"metadata": {"agent": "reader"}, "user": "reader"},
    "allowed tools": {"allowed_tools": ["Read"], "mcp_servers": {}, "cwd": "~/project"},
}


@pytest.mark.parametrize("name", TRIES)
async def test_no_field_reaches_it(
    name: str, project: str, client: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    """No field that a client can send enables the CLI's own tools, directory or settings."""
    call = ToolUse("Read", {"file_path": f"{project}/note.txt"})
    upstream.script(Reply((Text("Let me read it."), call), pace=0.1))

    await ask(client, "read", **TRIES[name])

    assert len(upstream.requests) == 1
    assert offered(upstream) == []
    assert not any(word in wire(upstream) for word in (CANARY, MEMORY, project))


async def test_a_tool_of_that_name_is_the_clients(
    project: str, client: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    """A client's tool with the name of one of the CLI's is called by the client, and reads nothing here."""
    upstream.script(Reply((ToolUse("Read", {"file_path": f"{project}/note.txt"}),)))

    response = await ask(client, "read", tools=[function("Read", "The client's own.")])

    choice = response.json()["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["tool_calls"][0]["function"]["name"] == "Read"
    assert [tool["description"] for tool in upstream.requests[0].body["tools"]] == ["The client's own."]
    assert CANARY not in wire(upstream)
    assert len(upstream.requests) == 1


async def test_no_such_directory(client: httpx.AsyncClient, upstream: ScriptedUpstream) -> None:
    """A missing directory is reported, and nothing is sent upstream."""
    response = await ask(client, "hi", model="lost")

    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (503, "backend_unavailable")
    assert "nowhere" in error["message"]
    assert "does not exist" in error["message"]
    assert upstream.requests == []
