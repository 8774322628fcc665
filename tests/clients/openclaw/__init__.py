"""OpenClaw, run without its gateway: `openclaw agent --local`."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Any

from claude_max_proxy.testing import Reply, Text, ToolUse, conversation, fault
from tests.clients.client import Client
from tests.clients.expecting import document, fine, holds, same, within
from tests.clients.stage import ADDRESS, Stage
from tests.end_to_end.running import until


client = Client("openclaw", "OpenClaw")
APIS = {"chat": "openai-completions", "responses": "openai-responses", "messages": "anthropic-messages"}
CONTEXT = "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>"
LONG = "All of this has to be remembered. " * 4000
OVERFLOW = fault(400, "prompt is too long: 210000 tokens > 200000 maximum")


def _command(session: str, message: str) -> tuple[str, ...]:
    key = f"agent:main:{session}"
    return (
        "openclaw",
        "agent",
        "--local",
        "--agent",
        "main",
        "--session-key",
        key,
        "--json",
        "--message",
        message,
    )


async def prepare(stage: Stage, folder: str = "openclaw") -> dict[str, str]:
    """Let `claude-max-proxy openclaw --write` configure an OpenClaw; return the variables that name it."""
    path = stage.home / f".{folder}-{stage.api}" / "openclaw.json"
    if not path.exists():
        stage.place("offline.json5", str(path.relative_to(stage.home)))
        command = (sys.executable, "-m", "claude_max_proxy", "openclaw", "--write", "--no-service")
        where = ("--config", str(stage.proxy.work / "proxy.toml"), "--target", str(path))
        fine(await stage.run(*command, *where, "--api", APIS[stage.api]))
        path.write_text(path.read_text("utf-8").replace(ADDRESS, stage.proxy.url), "utf-8")
    return {"OPENCLAW_STATE_DIR": str(path.parent), "OPENCLAW_CONFIG_PATH": str(path)}


async def say(stage: Stage, session: str, message: str, folder: str = "openclaw") -> dict[str, Any]:
    """Let the agent take one turn, and return what it reports."""
    return document(
        fine(await stage.run(*_command(session, message), variables=await prepare(stage, folder)))
    )


def said(report: dict[str, Any]) -> str:
    """Return the text that the user sees."""
    return "\n".join(part["text"] for part in report["payloads"])


def results(stage: Stage) -> list[str]:
    """Return the texts of all results of tools in the newest request, in their order."""
    blocks = [block for _, turn in conversation(stage.upstream.requests[-1].body) for block in turn]
    contents = [block["content"] for block in blocks if block["type"] == "tool_result"]
    return [
        "".join(part.get("text", "") for part in content).partition(CONTEXT)[0].strip()
        for content in contents
    ]


def run(command: str) -> ToolUse:
    """Call its tool that runs a command."""
    return ToolUse("exec", {"command": command})


@client.check("responses", "chat", "messages", requests=1)
async def a_turn(stage: Stage) -> None:
    """A turn without tools is one request."""
    report = await say(stage, "turn", "Good morning [[say Good morning to you]]")
    same(said(report), "Good morning to you", "the answer")


@client.check("responses", "chat", "messages", requests=4)
async def tools(stage: Stage) -> None:
    """A turn with three tool steps is four requests, the last three in the process that made the calls."""
    steps = [
        Reply((Text("Let me see."), run("echo one"))),
        Reply((run("echo two"),)),
        Reply((run("echo three"),)),
    ]
    stage.upstream.script(*steps, Reply((Text("That is all."),)))
    report = await say(stage, "tools", "Please count.")
    same(said(report).splitlines()[-1], "That is all.", "the answer")
    same(results(stage), ["one", "two", "three"], "what the tools gave")
    same(await stage.live(4), [False, True, True, True], "which requests went on in place")


@client.check("responses", "chat", requests=2)
async def parallel_tools(stage: Stage) -> None:
    """Two calls at once get their results at once."""
    stage.upstream.script(Reply((run("echo one"), run("echo two"))), Reply((Text("Both."),)))
    same(said(await say(stage, "parallel", "Please do both.")), "Both.", "the answer")
    same(sorted(results(stage)), ["one", "two"], "what the tools gave")


@client.check("responses", "chat", "messages", requests=3, within=600)
async def several_turns(stage: Stage) -> None:
    """Each further turn of a session is one request, in the process that answered last; nothing is lost."""
    for word in ("one", "two", "three"):
        report = await say(stage, "turns", f"Say it [[say It is {word}.]]")
        same(said(report), f"It is {word}.", "the answer")
    turns = conversation(stage.upstream.requests[-1].body)
    answers = [block["text"] for role, blocks in turns if role == "assistant" for block in blocks]
    same(answers, ["It is one.", "It is two."], "the earlier answers")
    same(await stage.live(3), [False, True, True], "which requests went on in place")


@client.check("responses", "chat", requests=None, within=600)
async def compaction(stage: Stage) -> None:
    """When the conversation no longer fits, OpenClaw compacts it, and the turn continues."""
    for _ in range(2):
        stage.upstream.script(Reply((Text(LONG, chunks=20),)))
        await say(stage, "long", "Remember this")
    full = True

    def answer(body: dict[str, Any]) -> Any:
        nonlocal full
        if full and body.get("tools"):
            return OVERFLOW
        full = False
        return Reply((Text("We talked about remembering."),)) if not body.get("tools") else None

    stage.upstream.answer_with(answer)
    same(said(await say(stage, "long", "And now [[say Here I am]]")), "Here I am", "the answer")
    summaries = [request for request in stage.upstream.requests if not request.body.get("tools")]
    holds(summaries, "nothing was compacted")
    within("We talked about remembering.", str(stage.upstream.requests[-1].body), "what was asked after it")


@client.check("responses", "chat", requests=1)
async def plan_limit(stage: Stage) -> None:
    """It shows a used-up plan once, in the provider's own words, and does not try again."""
    output = await stage.run(*_command("limit", "Hello [[limit]]"), variables=await prepare(stage))
    told = document(output.printed)["error"]["message"]
    within("usage limit reached", told, "what the user sees")
    same(await stage.statuses(), [429], "the statuses")


@client.check("responses", "chat", requests=None)
async def short_fault(stage: Stage) -> None:
    """After a short fault of the provider the proxy tries again, and OpenClaw does not notice it."""
    stage.upstream.script(fault(529), Reply((Text("Back again."),)))
    same(said(await say(stage, "fault", "Hello")), "Back again.", "the answer")
    same(await stage.statuses(), [200], "the statuses")


@client.check("responses", "chat", requests=1)
async def cancel(stage: Stage) -> None:
    """When OpenClaw is stopped in the middle of an answer, the request to the provider stops too."""
    process = await stage.start(*_command("cancel", "Hello [[hang 3]]"), **await prepare(stage))
    await stage.asked(1, within=120)
    await asyncio.sleep(1)  # for the first words to arrive
    process.send_signal(signal.SIGINT)
    left = await until(lambda: stage.upstream.requests[0].disconnected, 20)
    await stage.end(process)
    holds(left, "the provider was still being listened to after 20 s")


@client.check("responses", "chat", requests=6, within=600)
async def three_at_once(stage: Stage) -> None:
    """Three sessions at once do not wait for each other, and never see each other's words."""
    words = ("red", "green", "blue")
    calls = [f'[[tool exec {{"command":"echo {word}"}}]]' for word in words]
    turns = (
        say(stage, word, f"Say {word}. {call}", f"openclaw-{word}")
        for word, call in zip(words, calls, strict=True)
    )
    reports = await asyncio.gather(*turns)
    heard = [said(report).partition(CONTEXT)[0].strip() for report in reports]
    same(heard, [f"Results: {word}" for word in words], "the answers")
