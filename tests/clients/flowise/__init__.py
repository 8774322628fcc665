"""Flowise: its server, with an agent that is asked by its prediction API."""

from __future__ import annotations

import json

import httpx

from claude_max_proxy.testing import Reply, Text, ToolUse, conversation, words
from tests.clients.client import Client
from tests.clients.expecting import holds, same, within
from tests.clients.flowise.server import server
from tests.clients.scenarios import HELLO
from tests.clients.stage import Stage
from tests.clients.tools import PIXEL
from tests.end_to_end.comparing import seen
from tests.end_to_end.working import by_call


client = Client("flowise", "Flowise")
REPLIES = (
    Reply(
        (
            Text("Let me see."),
            ToolUse("calculator", {"input": "20+1"}),
            ToolUse("calculator", {"input": "3*3"}),
        )
    ),
    Reply((ToolUse("calculator", {"input": "21-9"}),)),
    Reply((Text("It is 12 degrees warmer."),)),
)
ASKED = [
    ("user", [("text", "/how much warmer is it?")]),
    (
        "assistant",
        [
            ("text", "Let me see."),
            ("call", 0, "calculator", {"input": "20+1"}),
            ("call", 1, "calculator", {"input": "3*3"}),
        ],
    ),
    ("user", [("result", 0, [("text", "21")]), ("result", 1, [("text", "9")])]),
    ("assistant", [("call", 2, "calculator", {"input": "21-9"})]),
    ("user", [("result", 2, [("text", "12")])]),
]


def pieces(response: httpx.Response) -> list[str]:
    """Return the pieces of a streamed answer."""
    lines = [
        json.loads(line.removeprefix("data:"))
        for line in response.text.splitlines()
        if line.startswith("data:")
    ]
    return [line["data"] for line in lines if line.get("event") == "token"]


async def answer(stage: Stage, question: str, session: str) -> str:
    """Ask the agent, and return its whole answer."""
    response = await (await server(stage)).ask(stage, question, session)
    same(response.status_code, 200, "the status")
    text: str = response.json()["text"]
    return text


@client.check(requests=1)
async def whole(stage: Stage) -> None:
    """A Tool Agent gets the prompt byte for byte, and the whole answer comes back."""
    same(await answer(stage, HELLO, "whole"), f"You said: {HELLO}", "the answer")


@client.check(requests=1)
async def streamed(stage: Stage) -> None:
    """A streamed answer comes in the same pieces in which the model said it."""
    asked = await (await server(stage)).ask(stage, "[[deltas 40]]", "streamed", streaming=True)
    same("".join(pieces(asked)), words(40), "the answer")
    holds(len(pieces(asked)) >= 40, f"the answer came in {len(pieces(asked))} pieces, not 40")


@client.check(requests=3)
async def turns(stage: Stage) -> None:
    """With Buffer Memory, a conversation of three turns continues in the process that answered last."""
    texts = [f"[[say It is {word}.]]" for word in ("one", "two", "three")]
    answers = [await answer(stage, text, "turns") for text in texts]
    same(answers, ["It is one.", "It is two.", "It is three."], "the answers")
    roles = [role for role, _ in conversation(stage.upstream.requests[-1].body)]
    same(roles, ["user", "assistant"] * 2 + ["user"], "the roles of the conversation")
    same(await stage.live(3), [False, True, True], "which requests went on in place")


@client.check(requests=3)
async def tools(stage: Stage) -> None:
    """An agent with a tool, called in parallel and one after the other, completes its work."""
    stage.upstream.script(*REPLIES)
    same(await answer(stage, "/how much warmer is it?", "tools"), "It is 12 degrees warmer.", "the answer")
    same(by_call(seen(stage.upstream)), ASKED, "the conversation")
    same(await stage.live(3), [False, True, True], "which requests went on in place")


@client.check(requests=1)
async def image(stage: Stage) -> None:
    """A picture that comes with a question reaches the model."""
    upload = {"data": PIXEL, "type": "file", "name": "pixel.png", "mime": "image/png"}
    await (await server(stage)).ask(stage, "What is this?", "image", uploads=[upload])
    blocks = conversation(stage.upstream.requests[-1].body)[0][1]
    same(sorted(block["type"] for block in blocks), ["image", "text"], "what was asked")


@client.check(requests=1)
async def plan_limit(stage: Stage) -> None:
    """A used-up plan is an error that says so."""
    response = await (await server(stage)).ask(stage, "Hello [[limit]]", "limit")
    same(response.status_code, 500, "the status")
    within("Claude usage limit reached", response.text, "the error")
