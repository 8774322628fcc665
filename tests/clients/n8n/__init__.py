"""n8n: its server, with workflows that are asked through its chat."""

from __future__ import annotations

import base64

from claude_max_proxy.testing import Reply, Text, ToolUse, conversation, words
from tests.clients.client import Api, Client
from tests.clients.expecting import holds, same, within
from tests.clients.n8n.server import answer, ask, pieces
from tests.clients.scenarios import HELLO, PERSON
from tests.clients.stage import Stage
from tests.clients.tools import PIXEL
from tests.end_to_end.comparing import Turn, seen
from tests.end_to_end.working import by_call


client = Client("n8n", "n8n")
BOTH: tuple[Api, ...] = ("chat", "responses")
AGENT = (
    Reply(
        (Text("Let me see."), ToolUse("weather", {"city": "Zürich"}), ToolUse("weather", {"city": "Oslo"}))
    ),
    Reply((ToolUse("Calculator", {"input": "21 - 9"}),)),
    Reply((Text("Zürich is warmer."),)),
)
# It tells of one call after the other, wraps results, and drops the text before the calls.
ASKED = [
    ("user", [("text", "/where is it warmer?")]),
    ("assistant", [("call", 0, "weather", {"city": "Zürich"})]),
    ("user", [("result", 0, [("text", '[{"response":"21 in Zürich"}]')])]),
    ("assistant", [("call", 1, "weather", {"city": "Oslo"})]),
    ("user", [("result", 1, [("text", '[{"response":"9 in Oslo"}]')])]),
    ("assistant", [("call", 2, "Calculator", {"input": "21 - 9"})]),
    ("user", [("result", 2, [("text", '[{"response":"12"}]')])]),
]
IMAGE = {"files": ("pixel.png", base64.b64decode(PIXEL.partition(",")[2]), "image/png")}


def workflow(stage: Stage) -> str:
    """Name the workflow for the API of the check, one that answers when it has ended."""
    return "whole" if stage.api == "chat" else "responses"


@client.check(*BOTH, requests=1)
async def whole(stage: Stage) -> None:
    """An AI Agent gets the prompt byte for byte, and its answer is the output of the workflow."""
    same(answer(await ask(stage, workflow(stage), HELLO, "whole")), f"You said: {HELLO}", "the answer")


@client.check(requests=1)
async def streamed(stage: Stage) -> None:
    """The chat shows the answer of an AI Agent while it arrives."""
    heard = pieces(await ask(stage, "chat", "[[deltas 40]]", "streamed"))
    same("".join(heard), words(40), "the answer")
    holds(len(heard) >= 40, f"the answer came in {len(heard)} pieces, not 40")


@client.check(*BOTH, requests=3)
async def turns(stage: Stage) -> None:
    """With Simple Memory, a chat of three turns continues in the process that answered last."""
    texts = [f"[[say It is {word}.]]" for word in ("one", "two", "three")]
    answers = [answer(await ask(stage, workflow(stage), text, "turns")) for text in texts]
    same(answers, ["It is one.", "It is two.", "It is three."], "the answers")
    roles = [role for role, _ in conversation(stage.upstream.requests[-1].body)]
    same(roles, ["user", "assistant"] * 2 + ["user"], "the roles of the conversation")
    same(await stage.live(3), [False, True, True], "which requests went on in place")


@client.check(*BOTH, requests=3)
async def tools(stage: Stage) -> None:
    """An AI Agent with a Code Tool, called twice in parallel, and the Calculator completes its work."""
    stage.upstream.script(*AGENT)
    said = answer(await ask(stage, workflow(stage), "/where is it warmer?", "tools"))
    same(said, "Zürich is warmer.", "the answer")
    same(by_call(_own(seen(stage.upstream))), ASKED, "the conversation")


def _own(turns: list[Turn]) -> list[Turn]:
    """Leave out the `id` that n8n itself adds to the arguments of calls in the history."""
    for _, blocks in turns:
        for block in blocks:
            if block[0] == "call":
                holds(block[3].pop("id", ""), f"the call {block} has no id")
    return turns


@client.check(*BOTH, requests=1)
async def structured(stage: Stage) -> None:
    """The Structured Output Parser gets an object that follows its schema."""
    stage.upstream.script(Reply((ToolUse("format_final_json_response", {"output": PERSON}),)))
    said = answer(await ask(stage, f"{workflow(stage)}-structured", "Who?", "structured"))
    same(said, PERSON, "the object")


@client.check(*BOTH, requests=1)
async def image(stage: Stage) -> None:
    """A picture that somebody puts into the chat reaches the model."""
    answer(await ask(stage, workflow(stage), "What is this?", "image", files=IMAGE))
    blocks = conversation(stage.upstream.requests[-1].body)[0][1]
    same(sorted(block["type"] for block in blocks), ["image", "text"], "what was asked")


@client.check("responses", requests=1)
async def openai_node(stage: Stage) -> None:
    """The OpenAI node sends a message to the model."""
    same(answer(await ask(stage, "message", HELLO)), f"You said: {HELLO}", "the answer")


@client.check("responses", requests=1)
async def openai_node_image(stage: Stage) -> None:
    """The OpenAI node analyses an image."""
    answer(await ask(stage, "analyze", "What is this?", files=IMAGE))
    blocks = conversation(stage.upstream.requests[-1].body)[0][1]
    same([block["type"] for block in blocks], ["text", "image"], "what was asked")


@client.check(requests=1)
async def plan_limit(stage: Stage) -> None:
    """A used-up plan is named in the chat."""
    response = await ask(stage, "chat", "Hello [[limit]]", "limit")
    within("Claude usage limit reached", response.text, "what the chat shows")
