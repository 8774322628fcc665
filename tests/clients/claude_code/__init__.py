"""Claude Code itself as a client of the proxy: its own tools, and any model that `[models]` names."""

from __future__ import annotations

from claude_max_proxy.testing import Reply, Text, ToolUse, conversation, fault
from tests.clients.client import Client
from tests.clients.expecting import fine, same, within
from tests.clients.stage import Output, Stage


client = Client("claude-code", "Claude Code")
# It also asks for news, versions and the like, which are not part of the API.
QUIET = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1", "IS_SANDBOX": "1"}


async def claude(stage: Stage, *arguments: str) -> Output:
    """Run it for one turn."""
    options = ("-p", "--settings", "over-proxy.json", "--model", "sonnet", "--permission-mode", "acceptEdits")
    return await stage.run(stage.cli, *options, *arguments, variables=QUIET)


@client.check("messages", requests=1)
async def a_turn(stage: Stage) -> None:
    """A turn without tools is one request."""
    same(fine(await claude(stage, "Hello [[say Good morning]]")).strip(), "Good morning", "the answer")


@client.check("messages", requests=4)
async def tools(stage: Stage) -> None:
    """It reads a file, changes it and runs a command with its own tools: one request each, and a last one."""
    path = stage.work / "greeting.txt"
    path.write_text("hello\n")
    edit = {"file_path": str(path), "old_string": "hello", "new_string": "good morning"}
    stage.upstream.script(
        Reply((Text("I read."), ToolUse("Read", {"file_path": str(path)}))),
        Reply((ToolUse("Edit", edit),)),
        Reply((ToolUse("Bash", {"command": "echo it is $((40 + 2))", "description": "Counts"}),)),
        Reply((Text("Done."),)),
    )
    output = await claude(stage, "--allowedTools", "Bash(echo:*)", "--", "Be polite.")
    same(fine(output).strip(), "Done.", "the answer")
    same(path.read_text(), "good morning\n", "the file")
    within("it is 42", str(conversation(stage.upstream.requests[-1].body)), "what was asked")
    # After a change of a file it may add a note, and then the conversation is replayed.
    same((await stage.live(4))[:2], [False, True], "which requests went on in place")


@client.check("messages", requests=2)
async def several_turns(stage: Stage) -> None:
    """`claude --continue` continues the last session."""
    fine(await claude(stage, "Say it [[say It is one.]]"))
    same(
        fine(await claude(stage, "--continue", "Again [[say It is two.]]")).strip(),
        "It is two.",
        "the answer",
    )
    within("It is one.", str(conversation(stage.upstream.requests[-1].body)), "what was asked")


@client.check("messages", requests=None)
async def plan_limit(stage: Stage) -> None:
    """It shows a used-up plan in the provider's own words."""
    output = await claude(stage, "Hello [[limit]]")
    within("limit", output.printed + output.errors, "what the user sees")


@client.check("messages", requests=None)
async def short_fault(stage: Stage) -> None:
    """After a short fault of the provider the proxy tries again, and the client does not notice it."""
    stage.upstream.script(fault(529), Reply((Text("Back again."),)))
    same(fine(await claude(stage, "Hello")).strip(), "Back again.", "the answer")
    same(await stage.statuses(), [200], "the statuses")
