"""DSPy."""

from __future__ import annotations

import json

from claude_max_proxy.testing import Reply, Text, ToolUse, words
from tests.clients.client import Client
from tests.clients.expecting import holds, same, within
from tests.clients.scenarios import HELLO, PERSON, Scenarios
from tests.clients.stage import Stage
from tests.end_to_end.comparing import seen
from tests.end_to_end.working import by_call


client = Client("dspy", "DSPy")
PROGRAM = "program.py"
Scenarios(client, PROGRAM).add("whole", "turns", "plan_limit")


def fields(**values: str) -> Reply:
    """Return an answer in the form that DSPy asks for where nothing else is said."""
    parts = [f"[[ ## {name} ## ]]\n{value}\n\n" for name, value in values.items()]
    return Reply((Text("".join([*parts, "[[ ## completed ## ]]"])),))


def step(tool: str, arguments: dict[str, str]) -> Reply:
    """Return a step of an agent that writes its calls as text."""
    return fields(next_thought="I look.", next_tool_name=tool, next_tool_args=json.dumps(arguments))


@client.check(requests=3)
async def structured(stage: Stage) -> None:
    """A signature's fields come as objects by each adapter: chat, JSON, XML."""
    written = json.dumps(PERSON)
    stage.upstream.script(
        fields(person=written),
        Reply((ToolUse("StructuredOutput", {"person": PERSON}),)),
        Reply((Text(f"<person>{written}</person>"),)),
    )
    for adapter in ("chat", "json", "xml"):
        same(await stage.ask(PROGRAM, "structured", text="Who?", adapter=adapter), PERSON, adapter)


@client.check(requests=1)
async def streamed(stage: Stage) -> None:
    """A field of a signature is streamed."""
    stage.upstream.script(fields(answer=words(40)))
    pieces = await stage.ask(PROGRAM, "streamed", text="Say much.")
    same("".join(pieces), words(40), "the field")


@client.check(requests=1)
async def thought(stage: Stage) -> None:
    """A chain of thought comes with its answer."""
    stage.upstream.script(fields(reasoning="It is so.", answer="Yes."))
    same(await stage.ask(PROGRAM, "thought", text="Is it?"), ["It is so.", "Yes."], "the fields")


@client.check(requests=3)
async def tools(stage: Stage) -> None:
    """An agent (ReAct) calls a tool and completes its work."""
    stage.upstream.script(
        step("weather", {"city": "Oslo"}),
        step("finish", {}),
        fields(reasoning="It said so.", answer="It is 9."),
    )
    same(await stage.ask(PROGRAM, "tools", text="How is Oslo?"), "It is 9.", "the answer")
    within("9 in Oslo", str(seen(stage.upstream)), "what was asked last")


@client.check(requests=3)
async def native_tools(stage: Stage) -> None:
    """An agent (ReActV2) calls tools natively, and completes its work by a call."""
    stage.upstream.script(
        Reply((ToolUse("weather", {"city": "Zürich"}), ToolUse("weather", {"city": "Oslo"}))),
        Reply((ToolUse("warmest", {"a": 21, "b": 9}),)),
        Reply((ToolUse("submit", {"answer": "Zürich"}),)),
    )
    same(await stage.ask(PROGRAM, "native_tools", text="Where is it warmer?"), "Zürich", "the answer")
    _question, calls, results, call, result = by_call(seen(stage.upstream))
    cities = [("call", 0, "weather", {"city": "Zürich"}), ("call", 1, "weather", {"city": "Oslo"})]
    same(calls, ("assistant", cities), "the first calls")
    texts = [("result", 0, [("text", "21 in Zürich")]), ("result", 1, [("text", "9 in Oslo")])]
    same(results, ("user", texts), "their results")
    same(call, ("assistant", [("call", 2, "warmest", {"a": 21, "b": 9})]), "the next call")
    same(result[1][0], ("result", 2, [("text", "21")]), "its result")


@client.check(requests=1)
async def image(stage: Stage) -> None:
    """An image reaches the model."""
    stage.upstream.script(fields(answer="A pixel."))
    same(await stage.ask(PROGRAM, "image"), "A pixel.", "the answer")
    holds("image" in [block[0] for block in seen(stage.upstream)[0][1]], "there is no image")


@client.check(requests=2)
async def completions(stage: Stage) -> None:
    """Several completions of one question come, for which it asks several times."""
    same(await stage.ask(PROGRAM, "completions", text=HELLO, count=2), [f"You said: {HELLO}"] * 2, "they")
