"""Open Interpreter, typed to line by line: `interpreter --auto_run --plain`."""

from __future__ import annotations

from claude_max_proxy.testing import Reply, Text, ToolUse, conversation, fault
from tests.clients.client import Client
from tests.clients.coding import AFTER, FILE, LINE, calls, edited, picture, project, results, stopped
from tests.clients.expecting import fine, holds, same, within
from tests.clients.stage import Output, Stage


client = Client("open-interpreter", "Open Interpreter", environment={"LITELLM_LOCAL_MODEL_COST_MAP": "True"})


def command(stage: Stage) -> list[str]:
    """Return what starts it with the profile of its page, so that it runs code without a question."""
    return ["interpreter", "--profile", str(stage.work / "connect.py"), "--auto_run", "--plain"]


async def interpreter(stage: Stage, *lines: str) -> Output:
    """Type lines, and run it to the end of its work."""
    typed = "".join(f"{line}\n" for line in lines)
    return await stage.run(*command(stage), typed=typed, within=120.0)


@client.check(requests=1)
async def a_turn(stage: Stage) -> None:
    """A question is answered."""
    within("Good day", fine(await interpreter(stage, "Hello [[say Good day]]")), "what it prints")


@client.check(requests=3)
async def edit(stage: Stage) -> None:
    """It runs code that looks at a file, then code that changes it; the model makes one call at a time."""
    path = project(stage)
    look = ("execute", {"language": "shell", "code": f"cat {FILE}"})
    code = f"from pathlib import Path\n\nPath({path!r}).write_text({AFTER!r}, 'utf-8')"
    change = ("execute", {"language": "python", "code": code})
    stage.upstream.script(
        Reply((Text("Let me see."), ToolUse(*look))),
        Reply((ToolUse(*change),)),
        Reply((Text("That is polite."),)),
    )
    within("That is polite.", fine(await interpreter(stage, "Be kind.")), "what it prints")
    edited(stage)
    same(calls(stage.upstream), [[look], [change]], "the calls in what was asked")
    within(LINE, results(stage.upstream)[0], "the first result")
    choices = [request.body.get("tool_choice") for request in stage.upstream.requests]
    same(choices, [{"type": "auto", "disable_parallel_tool_use": True}] * 3, "what the model may call")


@client.check(requests=2)
async def several_turns(stage: Stage) -> None:
    """A conversation of two turns continues in the process that answered before."""
    printed = fine(await interpreter(stage, "Say it [[say It is one.]]", "Again [[say It is two.]]"))
    within("It is two.", printed, "what it prints")
    within("It is one.", str(conversation(stage.upstream.requests[-1].body)), "what was asked")
    same(await stage.live(2), [False, True], "which requests went on in place")


@client.check(requests=1)
async def image(stage: Stage) -> None:
    """An image whose path is in a message reaches the model."""
    path = stage.work / "picture.png"
    path.write_bytes(picture())
    stage.upstream.script(Reply((Text("Blue."),)))
    within("Blue.", fine(await interpreter(stage, f"What is this? {path}")), "what it prints")
    asked = conversation(stage.upstream.requests[-1].body)
    kinds = [block["type"] for role, blocks in asked for block in blocks if role == "user"]
    holds("image" in kinds, f"there is no image in what was asked, only {kinds}")


@client.check(requests=None)
async def plan_limit(stage: Stage) -> None:
    """It shows that a plan is used up, in the provider's words."""
    output = await interpreter(stage, "Hello [[limit]]")
    within("usage limit reached", output.errors, "what the user sees")
    same(output.status, 1, "the status it ended with")
    await stage.live(1)
    same(set(await stage.statuses()), {429}, "the statuses")


@client.check(requests=None)
async def short_fault(stage: Stage) -> None:
    """After a short fault of the provider the proxy tries again, and Open Interpreter does not notice it."""
    stage.upstream.script(fault(529), Reply((Text("Back again."),)))
    within("Back again.", fine(await interpreter(stage, "Hello there")), "what it prints")
    same(await stage.statuses(), [200], "the statuses")


@client.check(requests=1)
async def cancel(stage: Stage) -> None:
    """When it is stopped in the middle of an answer, the request to the provider stops too."""
    process = await stage.start(*command(stage))
    assert process.stdin is not None
    process.stdin.write(b"Hello [[hang 3]]\n")
    await stopped(stage, process)
