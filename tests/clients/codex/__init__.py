"""Codex, run without its terminal: `codex exec`."""

from __future__ import annotations

import json
import signal
from typing import Any

from claude_max_proxy.testing import Reply, Text, ToolUse, conversation, fault
from tests.clients.client import Client
from tests.clients.expecting import fine, holds, same, within
from tests.clients.stage import Output, Stage
from tests.end_to_end.running import until


client = Client("codex", "Codex")
# A sandbox needs rights that a container may not have; what the checks run is harmless.
OPTIONS = ("--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox")
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


async def codex(stage: Stage, *arguments: str) -> Output:
    """Run it with the configuration of its page."""
    stage.place("config.toml", ".codex/config.toml")
    return await stage.run("codex", "exec", *OPTIONS, *arguments)


def said(output: Output) -> str:
    """Return the last message of its answer."""
    items = [event["item"] for event in events(output) if event["type"] == "item.completed"]
    texts = [item["text"] for item in items if item["type"] == "agent_message"]
    holds(texts, f"it said nothing: {output.printed}")
    return str(texts[-1])


def events(output: Output) -> list[dict[str, Any]]:
    """Return what it reported."""
    fine(output)
    return [json.loads(line) for line in output.printed.splitlines() if line.startswith("{")]


def run(command: str) -> ToolUse:
    """Call its tool that runs a command."""
    return ToolUse("exec_command", {"cmd": command})


@client.check("responses", requests=1)
async def a_turn(stage: Stage) -> None:
    """A turn without tools is one request, and Codex counts its usage."""
    output = await codex(stage, "Hello [[say Good morning]]")
    same(said(output), "Good morning", "the answer")
    same(events(output)[-1]["usage"]["output_tokens"], 2, "the tokens counted")


@client.check("responses", requests=4)
async def tools(stage: Stage) -> None:
    """A turn with three tool steps is four requests, the last three in the process that made the calls."""
    steps = [
        Reply((Text("Let me see."), run("echo one"))),
        Reply((run("echo two"),)),
        Reply((run("echo three"),)),
    ]
    stage.upstream.script(*steps, Reply((Text("That is all."),)))
    same(said(await codex(stage, "Please count.")), "That is all.", "the answer")
    asked = str(conversation(stage.upstream.requests[-1].body))
    for word in ("one", "two", "three"):
        within(f"\\n{word}\\n", asked, "what was asked")
    same(await stage.live(4), [False, True, True, True], "which requests went on in place")


@client.check("responses", requests=2)
async def edit(stage: Stage) -> None:
    """It changes a file with its own patches."""
    (stage.work / "greeting.txt").write_text("hello\n")
    patch = "*** Begin Patch\n*** Update File: greeting.txt\n@@\n-hello\n+good morning\n*** End Patch"
    stage.upstream.script(Reply((run(f"apply_patch <<'EOF'\n{patch}\nEOF"),)), Reply((Text("Done."),)))
    same(said(await codex(stage, "Be polite.")), "Done.", "the answer")
    same((stage.work / "greeting.txt").read_text(), "good morning\n", "the file")


@client.check("responses", requests=2)
async def several_turns(stage: Stage) -> None:
    """`codex exec resume` continues the last session, in the process that answered before."""
    await codex(stage, "Say it [[say It is one.]]")
    same(said(await codex(stage, "resume", "--last", "Again [[say It is two.]]")), "It is two.", "the answer")
    within("It is one.", str(conversation(stage.upstream.requests[-1].body)), "what was asked")
    same(await stage.live(2), [False, True], "which requests went on in place")


@client.check("responses", requests=1)
async def structured(stage: Stage) -> None:
    """An answer follows a schema: `--output-schema`."""
    (stage.work / "schema.json").write_text(json.dumps(SCHEMA))
    stage.upstream.script(Reply((ToolUse("StructuredOutput", {"name": "Ada", "age": 36}),)))
    output = await codex(stage, "--output-schema", "schema.json", "Who?")
    same(json.loads(said(output)), {"name": "Ada", "age": 36}, "the object")


@client.check("responses", requests=1)
async def plan_limit(stage: Stage) -> None:
    """It shows a used-up plan at once and does not try again."""
    output = await codex(stage, "Hello [[limit]]")
    within("usage limit", output.printed, "what the user sees")


@client.check("responses", requests=None)
async def short_fault(stage: Stage) -> None:
    """After a short fault of the provider the proxy tries again, and Codex does not notice it."""
    stage.upstream.script(fault(529), Reply((Text("Back again."),)))
    same(said(await codex(stage, "Hello")), "Back again.", "the answer")
    same(await stage.statuses(), [200], "the statuses")


@client.check("responses", requests=1)
async def cancel(stage: Stage) -> None:
    """When Codex is stopped in the middle of an answer, the request to the provider stops too."""
    stage.place("config.toml", ".codex/config.toml")
    process = await stage.start("codex", "exec", *OPTIONS, "Hello [[hang 3]]")
    assert process.stdin is not None
    process.stdin.close()
    await stage.asked(1, within=60)
    process.send_signal(signal.SIGINT)
    left = await until(lambda: stage.upstream.requests[0].disconnected, 20)
    await stage.end(process)
    holds(left, "the provider was still being listened to after 20 s")
