"""opencode, run without its terminal: `opencode run`."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from claude_max_proxy.testing import Reply, Text, ToolUse, conversation, fault
from tests.clients.client import Client
from tests.clients.coding import (
    FILE,
    LINE,
    NEW_LINE,
    calls,
    edited,
    hears,
    picture,
    project,
    results,
    stopped,
)
from tests.clients.expecting import fine, holds, same, within
from tests.clients.stage import Output, Stage


client = Client("opencode", "opencode")
QUIET = {"OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_MODELS_FETCH": "1"}
# A session with a title of the user's does not ask a small model for one.
OPTIONS = ("run", "--format", "json", "--title", "greeting")

WAITS = 3.0
"""For so many seconds it must not ask again; its own delay without a `Retry-After` is 2."""


async def opencode(stage: Stage, *arguments: str, options: tuple[str, ...] = OPTIONS) -> Output:
    """Run it with the configuration of its page, which is in its working directory."""
    provider = "claude-messages" if stage.api == "messages" else "claude"
    command = ("opencode", *options, "-m", f"{provider}/claude-sonnet-4", *arguments)
    return await stage.run(*command, within=120.0, variables=QUIET)


def said(output: Output) -> str:
    """Return its answer."""
    return "".join(event["part"]["text"] for event in events(output) if event["type"] == "text")


def events(output: Output) -> list[dict[str, Any]]:
    """Return what it reported."""
    fine(output)
    return [json.loads(line) for line in output.printed.splitlines() if line.startswith("{")]


@client.check("chat", "messages", requests=1)
async def a_turn(stage: Stage) -> None:
    """A turn without tools is one request, and opencode counts its usage."""
    stage.upstream.script(
        Reply((Text("Good morning"),), input_tokens=10, cache_read=200, cache_write=30, output_tokens=7)
    )
    output = await opencode(stage, "Hello")
    same(said(output), "Good morning", "the answer")
    tokens = events(output)[-1]["part"]["tokens"]
    same((tokens["output"], tokens["cache"]["read"]), (7, 200), "the tokens counted")


@client.check(requests=2)
async def title(stage: Stage) -> None:
    """It has a small model make a title for the session, and the large one answer."""
    # opencode does not wait for the title, so the answer must not come before it.
    question = "Hello [[say Good morning]] [[sleep 8]]"
    output = await opencode(stage, question, options=("run", "--format", "json"))
    same(said(output), "Good morning", "the answer")
    models = sorted(request.body["model"] for request in stage.upstream.requests)
    same(["haiku" in models[0], "sonnet" in models[1]], [True, True], f"the models asked, {models},")


@client.check("chat", "messages", requests=3)
async def edit(stage: Stage) -> None:
    """It looks at a project with two calls in parallel and changes a file, in the same process."""
    path = project(stage)
    look = [("read", {"filePath": path}), ("bash", {"command": "echo *.txt"})]
    change = ("edit", {"filePath": path, "oldString": LINE, "newString": NEW_LINE})
    stage.upstream.script(
        Reply((Text("Let me see."), *(ToolUse(*call) for call in look))),
        Reply((ToolUse(*change),)),
        Reply((Text("Done."),)),
    )
    output = await opencode(stage, "Be polite.")
    within("Done.", said(output), "the answer")
    edited(stage)
    same(calls(stage.upstream), [look, [change]], "the calls in what was asked")
    within(LINE, results(stage.upstream)[0], "the first result")
    within(FILE, results(stage.upstream)[1], "the second result")
    same(await stage.live(3), [False, True, True], "which requests went on in place")


@client.check(requests=2)
async def several_turns(stage: Stage) -> None:
    """`opencode run --continue` continues the last session, in the process that answered before."""
    await opencode(stage, "Say it [[say It is one.]]")
    same(said(await opencode(stage, "--continue", "Again [[say It is two.]]")), "It is two.", "the answer")
    within("It is one.", str(conversation(stage.upstream.requests[-1].body)), "what was asked")
    same(await stage.live(2), [False, True], "which requests went on in place")


@client.check(requests=1)
async def image(stage: Stage) -> None:
    """An image that is attached with `--file` reaches the model."""
    (stage.work / "picture.png").write_bytes(picture())
    await opencode(stage, "What is this? [[say Blue.]]", "--file", "picture.png")
    kinds = [block["type"] for block in conversation(stage.upstream.requests[-1].body)[0][1]]
    holds("image" in kinds, f"there is no image in what was asked, only {kinds}")


@client.check("chat", "messages", requests=1)
async def plan_limit(stage: Stage) -> None:
    """It says that a plan is used up, and waits for the reset without asking again."""
    provider = "claude-messages" if stage.api == "messages" else "claude"
    options = (*OPTIONS, "--print-logs", "-m", f"{provider}/claude-sonnet-4", "Hello [[limit]]")
    process = await stage.start("opencode", *options, **QUIET)
    told = await hears(stage, process, "usage limit reached")
    await asyncio.sleep(WAITS)
    waits = process.returncode is None
    await stage.end(process)
    holds(told, "it did not say that the plan is used up")
    holds(waits, "it ended instead of waiting for the reset")


@client.check(requests=None)
async def short_fault(stage: Stage) -> None:
    """After a short fault of the provider the proxy tries again, and opencode does not notice it."""
    stage.upstream.script(fault(529), Reply((Text("Back again."),)))
    same(said(await opencode(stage, "Hello")), "Back again.", "the answer")
    await stage.live(1)
    same(await stage.statuses(), [200], "the statuses")


@client.check(requests=1)
async def cancel(stage: Stage) -> None:
    """When opencode is stopped in the middle of an answer, the request to the provider stops too."""
    options = (*OPTIONS, "-m", "claude/claude-sonnet-4")
    await stopped(stage, await stage.start("opencode", *options, "Hello [[hang 3]]", **QUIET))
