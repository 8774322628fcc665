"""The command `llm`."""

import json

from claude_max_proxy.testing import Reply, Text, ToolUse, conversation, words
from tests.clients.client import Client
from tests.clients.expecting import fine, same, within
from tests.clients.stage import Stage


client = Client("llm", "llm")
MODELS = "extra-openai-models.yaml"
TOOL = "def weather(city: str) -> str:\n    'Tell the weather of a city.'\n    return '21 in ' + city\n"


async def llm(stage: Stage, *arguments: str, typed: str = "") -> str:
    """Run it, and return what it prints."""
    stage.place(MODELS, f".config/io.datasette.llm/{MODELS}")
    return fine(await stage.run("llm", *arguments, typed=typed)).rstrip("\n")


@client.check(requests=1)
async def streamed(stage: Stage) -> None:
    """It streams the answer to a prompt."""
    printed = await llm(stage, "-m", "claude", "[[deltas 40]]")
    same(printed, words(40), "what it prints")


@client.check(requests=1)
async def whole(stage: Stage) -> None:
    """It answers a prompt without streaming, with text from a pipe and a system prompt."""
    printed = await llm(
        stage, "-m", "claude", "--no-stream", "-s", "Be brief.", "And this", typed="/from a pipe"
    )
    same(printed, "You said: /from a pipe And this", "what it prints")


@client.check(requests=2)
async def turns(stage: Stage) -> None:
    """`llm -c` continues the last conversation, in the process that answered before."""
    await llm(stage, "-m", "claude", "[[say It is one.]]")
    same(await llm(stage, "-c", "[[say It is two.]]"), "It is two.", "what it prints")
    same(await stage.live(2), [False, True], "which requests went on in place")


@client.check(requests=2)
async def tools(stage: Stage) -> None:
    """The model calls a function of the user's own as a tool."""
    stage.upstream.script(Reply((ToolUse("weather", {"city": "Oslo"}),)), Reply((Text("It is warm."),)))
    same(await llm(stage, "-m", "claude", "--functions", TOOL, "How is it?"), "It is warm.", "what it prints")
    within("21 in Oslo", str(conversation(stage.upstream.requests[-1].body)), "what was asked")


@client.check(requests=1)
async def structured(stage: Stage) -> None:
    """An answer follows a schema."""
    stage.upstream.script(Reply((ToolUse("StructuredOutput", {"name": "Ada", "age": 36}),)))
    printed = await llm(stage, "-m", "claude", "--schema", "name, age int", "Who?")
    same(json.loads(printed), {"name": "Ada", "age": 36}, "the object")


@client.check(requests=1)
async def image(stage: Stage) -> None:
    """An image reaches the model."""
    pixel = bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63f8cfc0f01f000500"
        "01ff89993d1d0000000049454e44ae426082"
    )
    (stage.work / "pixel.png").write_bytes(pixel)
    await llm(stage, "-m", "claude", "-a", "pixel.png", "What is this?")
    blocks = conversation(stage.upstream.requests[-1].body)[0][1]
    same(sorted(block["type"] for block in blocks), ["image", "text"], "what was asked")
