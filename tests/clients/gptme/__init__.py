"""gptme, run without its terminal: `gptme --non-interactive`."""

from __future__ import annotations

from claude_max_proxy.testing import Reply, Text, ToolUse, conversation, fault, system_text
from tests.clients.client import Client
from tests.clients.coding import FILE, LINE, NEW_LINE, calls, edited, project, results, stopped
from tests.clients.expecting import fine, holds, same, within
from tests.clients.stage import Output, Stage


client = Client("gptme", "gptme")
END = "[[tool complete {}]]"
TITLES = "conversation titles"
DONE = ToolUse("complete", {})


def command(stage: Stage, name: str) -> list[str]:
    """Return what starts it with the configuration of its page; with a name it asks for no title."""
    stage.place("config.toml", ".config/gptme/config.toml")
    return ["gptme", "--non-interactive", "--name", name]


async def gptme(stage: Stage, name: str, question: str) -> Output:
    """Run it to the end of its work, which the model says by a call."""
    return await stage.run(*command(stage, name), question, within=120.0)


def answers(stage: Stage, *replies: Reply) -> None:
    """Let the model give these answers, and a title to who asks for one, which gptme does meanwhile."""
    steps = iter(replies)
    title = Reply((Text("Greeting"),))
    stage.upstream.answer_with(lambda body: title if TITLES in system_text(body) else next(steps, None))


@client.check(requests=None)
async def a_turn(stage: Stage) -> None:
    """A question is answered."""
    printed = fine(await gptme(stage, "turn", f"Hello [[say Good day]] {END}"))
    within("Good day", printed.replace(END, ""), "what it prints")


@client.check(requests=None)
async def edit(stage: Stage) -> None:
    """It looks at a file and changes it."""
    path = project(stage)
    look = ("shell", {"command": f"cat {FILE}"})
    patch = f"<<<<<<< ORIGINAL\n{LINE}\n=======\n{NEW_LINE}\n>>>>>>> UPDATED"
    change = ("patch", {"path": path, "patch": patch})
    answers(
        stage,
        Reply((Text("Let me see."), ToolUse(*look))),
        Reply((ToolUse(*change),)),
        Reply((Text("That is polite."), DONE)),
    )
    within("That is polite.", fine(await gptme(stage, "edit", "Be kind.")), "what it prints")
    edited(stage)
    same(calls(stage.upstream), [[look], [change]], "the calls in what was asked")
    within(LINE, results(stage.upstream)[0], "the first result")


@client.check(requests=None)
async def several_turns(stage: Stage) -> None:
    """A conversation goes on with what was said before when its name is given again."""
    await gptme(stage, "turns", f"Say it [[say It is one.]] {END}")
    printed = fine(await gptme(stage, "turns", f"Again [[say It is two.]] {END}"))
    within("It is two.", printed, "what it prints")
    asked = [str(conversation(request.body)) for request in stage.upstream.requests]
    holds(
        any("It is one." in one and "It is two." in one for one in asked),
        "the first turn was not in the second",
    )


@client.check(requests=None)
async def short_fault(stage: Stage) -> None:
    """After a short fault of the provider the proxy tries again, and gptme does not notice it."""
    stage.upstream.script(fault(529), Reply((Text("Back again."), DONE)))
    within("Back again.", fine(await gptme(stage, "fault", "Hello")), "what it prints")
    await stage.live(1)
    same(set(await stage.statuses()), {200}, "the statuses")


@client.check(requests=1)
async def cancel(stage: Stage) -> None:
    """When it is stopped in the middle of an answer, the request to the provider stops too."""
    await stopped(stage, await stage.start(*command(stage, "cancel"), "Hello [[hang 3]]"))
