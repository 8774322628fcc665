"""Letta Code, run without its terminal, with agents that live on this machine."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from claude_max_proxy.testing import Reply, Text, ToolUse, conversation, system_text, words
from tests.clients.client import Client
from tests.clients.coding import LINE, NEW_LINE, Agent, Call, results, stopped
from tests.clients.expecting import fine, holds, same, within
from tests.clients.stage import Output, Stage


client = Client("letta-code", "Letta Code", environment={"LETTA_CODE_TELEM": "0"})
MODEL = ("letta", "--model", "openai-compatible/claude-sonnet-4")
BASE = (*MODEL, "--output-format", "json")
STREAMED = (*MODEL, "--output-format", "stream-json", "--include-partial-messages", "--prompt")
FACT = "The user's cat is called Grüße."
NOTE = f"printf '%s\\n' '---' 'name: pets' 'description: Pets' '---' \"{FACT}\" > \"$MEMORY_DIR/pets.md\""
KEEP = 'git -C "$MEMORY_DIR" add pets.md && git -C "$MEMORY_DIR" commit --quiet -m "Note a pet" && echo kept'


def command(_stage: Stage) -> list[str]:
    """Return what starts it, once it was connected."""
    return [*BASE, "--prompt"]


def result(output: Output) -> dict[str, Any]:
    """Return what it says at the end."""
    found: dict[str, Any] = json.loads(fine(output))
    return found


def said(output: Output) -> str:
    """Return its answer."""
    return str(result(output)["result"])


def look(path: str) -> list[Call]:
    """Return the calls that look at a project."""
    listing = {"command": "echo *.txt", "description": "List the texts"}
    return [("Read", {"file_path": path}), ("Bash", listing)]


def change(path: str) -> Call:
    """Return the call that changes a file."""
    # Without `replace_all`, the conversation is replayed, since the CLI would add it.
    edit = {"file_path": path, "old_string": LINE, "new_string": NEW_LINE, "replace_all": False}
    return "Edit", edit


agent = Agent(client, command, said, look, change)


@client.check(requests=0)
async def connect(stage: Stage) -> None:
    """It connects, and finds the models."""
    fine(await stage.run("sh", "connect.sh"))
    found = json.loads(fine(await stage.run("letta", "model", "list")))
    handles = [model["handle"] for model in found]
    holds("openai-compatible/claude-sonnet-4" in handles, f"claude-sonnet-4 is not among {handles}")


agent.add("a_turn", "edit", "short_fault", "plan_limit")


@client.check(requests=1)
async def streamed(stage: Stage) -> None:
    """A streamed answer comes in pieces, which together are what the model said."""
    printed = fine(await stage.run(*STREAMED, "[[deltas 40]]"))
    events = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    pieces = [piece for event in events if (piece := text_of(event))]
    same("".join(pieces), words(40), "the answer")
    holds(len(pieces) > 1, "the answer came in one piece")


def text_of(event: dict[str, Any]) -> str:
    """Return the piece of an answer that an event brings."""
    inner = event.get("event", {})
    if inner.get("message_type") != "assistant_message":
        return ""
    return "".join(part["text"] for part in inner["content"])


@client.check(requests=3)
async def turns(stage: Stage) -> None:
    """A conversation of three turns continues in the process that answered last."""
    first = result(await agent.ask(stage, "Say it [[say It is one.]]"))
    same(first["result"], "It is one.", "the answer")
    for word in ("two", "three"):
        again = ("--conversation", first["conversation_id"])
        output = await stage.run(*BASE, *again, "--prompt", f"Again [[say It is {word}.]]")
        same(said(output), f"It is {word}.", "the answer")
    body = str(conversation(stage.upstream.requests[-1].body))
    within("It is one.", body, "what was asked")
    within("It is two.", body, "what was asked")
    same(await stage.live(3), [False, True, True], "which requests went on in place")


@client.check(requests=1)
async def cancel(stage: Stage) -> None:
    """When it is stopped while an answer arrives, the request to the provider stops too."""
    process = await stage.start(*STREAMED, "Hello [[deltas 900]] [[pace 0.05 900]]")
    assert process.stdout is not None
    async with asyncio.timeout(60):
        while b"assistant_message" not in (line := await process.stdout.readline()):
            holds(line, "it ended without an answer")
    await stopped(stage, process)


@client.check(requests=3)
async def memory(stage: Stage) -> None:
    """What an agent writes into its memory is in the system prompt of its next conversation."""
    note = {"command": f"{NOTE} && {KEEP}", "description": "Note a pet"}
    stage.upstream.script(Reply((ToolUse("Bash", note),)), Reply((Text("Noted."),)))
    same(said(await agent.ask(stage, "My cat is called Grüße.")), "Noted.", "the answer")
    within("kept", results(stage.upstream)[0], "the result")
    await agent.ask(stage, "Hello")
    within(FACT, system_text(stage.upstream.requests[-1].body), "the system prompt")
