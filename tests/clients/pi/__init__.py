"""pi, run without its terminal: `pi --print`."""

from __future__ import annotations

import json
from typing import Any

from claude_max_proxy.testing import conversation
from tests.clients.client import Client
from tests.clients.coding import FILE, LINE, NEW_LINE, Agent, Call, picture
from tests.clients.expecting import fine, holds
from tests.clients.stage import Output, Stage


client = Client("pi", "pi")
PROVIDERS = {"chat": "claude", "messages": "claude-messages", "responses": "claude-responses"}


def command(stage: Stage) -> list[str]:
    """Return what starts it with the configuration of its page."""
    stage.place("models.json", ".pi/agent/models.json")
    return ["pi", "--print", "--mode", "json", "--model", f"{PROVIDERS[stage.api]}/claude-sonnet-4"]


def said(output: Output) -> str:
    """Return the text of its last message."""
    fine(output)
    events = [json.loads(line) for line in output.printed.splitlines() if line.startswith("{")]
    messages: list[dict[str, Any]] = [event["message"] for event in events if event["type"] == "message_end"]
    return "".join(part["text"] for part in messages[-1]["content"] if part["type"] == "text")


def look(path: str) -> list[Call]:
    """Return the calls that look at a project."""
    return [("read", {"path": path}), ("bash", {"command": "echo *.txt"})]


def change(_path: str) -> Call:
    """Return the call that changes a file."""
    return "edit", {"path": FILE, "edits": [{"oldText": LINE, "newText": NEW_LINE}]}


agent = Agent(client, command, said, look, change, ("--continue",), {"PI_OFFLINE": "1"})
agent.add("a_turn", "edit", "several_turns", "short_fault", "cancel", plan_limit=4)
agent.add("a_turn", "edit", "several_turns", "cancel", api="messages", plan_limit=4)
agent.add("a_turn", "edit", "several_turns", "cancel", api="responses", plan_limit=4)


@client.check("chat", "messages", "responses", requests=1)
async def image(stage: Stage) -> None:
    """An image that is named with `@` reaches the model."""
    (stage.work / "picture.png").write_bytes(picture())
    await agent.ask(stage, "@picture.png", "What is this? [[say Blue.]]")
    kinds = [block["type"] for block in conversation(stage.upstream.requests[-1].body)[0][1]]
    holds("image" in kinds, f"there is no image in what was asked, only {kinds}")
