"""Qwen Code, run without its terminal."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import Process

from claude_max_proxy.testing import conversation
from tests.clients.client import Client
from tests.clients.coding import LINE, NEW_LINE, Agent, Call, picture
from tests.clients.expecting import fine, holds, same, within
from tests.clients.stage import Output, Stage


client = Client("qwen-code", "Qwen Code")


def command(stage: Stage) -> list[str]:
    """Return what starts it with the configuration of its page."""
    stage.place("settings.json", ".qwen/settings.json")
    other = ["--auth-type", "anthropic", "--model", "claude-opus-4"] if stage.api == "messages" else []
    return ["qwen", "--yolo", *other]


def said(output: Output) -> str:
    """Return its answer."""
    return fine(output).strip()


def look(path: str) -> list[Call]:
    """Return the calls that look at a project."""
    return [("read_file", {"file_path": path}), ("glob", {"pattern": "*.txt"})]


def change(path: str) -> Call:
    """Return the call that changes a file."""
    return "edit", {"file_path": path, "old_string": LINE, "new_string": NEW_LINE}


agent = Agent(client, command, said, look, change)
agent.add("a_turn", "edit", "waiting", "short_fault", "cancel")
agent.add("a_turn", "edit", "waiting", "cancel", api="messages")


@client.check("chat", "messages", requests=2)
async def several_turns(stage: Stage) -> None:
    """The next question of a session goes to the process that answered before."""
    options = ("--input-format", "stream-json", "--output-format", "stream-json")
    process = await stage.start(*command(stage), *options)
    answers = [await answered(stage, process, f"Say it [[say It is {word}.]]") for word in ("one", "two")]
    await stage.end(process)
    same(answers, ["It is one.", "It is two."], "the answers")
    within("It is one.", str(conversation(stage.upstream.requests[-1].body)), "what was asked")
    same(await stage.live(2), [False, True], "which requests went on in place")


async def answered(stage: Stage, process: Process, question: str) -> str:
    """Ask a session that is under way, and return its answer."""
    assert process.stdin is not None
    assert process.stdout is not None
    message = {"role": "user", "content": question}
    line = json.dumps({"type": "user", "message": message, "parent_tool_use_id": None})
    process.stdin.write(f"{line}\n".encode())
    async with asyncio.timeout(60):
        while line := (await process.stdout.readline()).decode():
            stage.said.append(line.rstrip())
            event = json.loads(line)
            if event["type"] == "result":
                return str(event["result"])
    raise AssertionError("it ended without an answer")


@client.check(requests=2)
async def resumed(stage: Stage) -> None:
    """`--continue` goes on with the last session; it is sent again, without Qwen Code's note of the date."""
    await agent.ask(stage, "Say it [[say It is one.]]")
    answer = said(await agent.ask(stage, "--continue", "Again [[say It is two.]]"))
    same(answer, "It is two.", "the answer")
    within("It is one.", str(conversation(stage.upstream.requests[-1].body)), "what was asked")


@client.check("chat", requests=1)
async def image(stage: Stage) -> None:
    """An image that is named with `@` reaches the model."""
    (stage.work / "picture.png").write_bytes(picture())
    await agent.ask(stage, "What is this? @picture.png [[say Blue.]]")
    kinds = [
        block["type"]
        for role, blocks in conversation(stage.upstream.requests[-1].body)
        for block in blocks
        if role == "user"
    ]
    holds("image" in kinds, f"there is no image in what was asked, only {kinds}")
