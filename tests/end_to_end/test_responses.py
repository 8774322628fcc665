"""The Responses API through the real CLI: conversations continue in place, in whatever form they return."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import agents
import openai
import pydantic
import pytest
import pytest_asyncio
from openai import AsyncOpenAI

from claude_max_proxy.testing import ErrorEvent, Reply, ScriptedUpstream, Text, Thinking, ToolUse, fault
from tests.end_to_end.comparing import seen, seen_system
from tests.end_to_end.conftest import StartProxy
from tests.end_to_end.responding import (
    Worker,
    custom,
    function,
    handed_back,
    hear,
    results,
    seen_but_thoughts,
    user,
)
from tests.end_to_end.running import RunningProxy
from tests.end_to_end.working import MODELS, by_call, live, new_model, offered, openai_client


PROXY_TOML = MODELS
# 1 x 1 pixel
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
IMAGE: dict[str, Any] = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"}
TOOLS: list[Any] = [function("look"), function("take")]
LOOK, TAKE = ToolUse("look", {"where": "here", "deep": True}), ToolUse("take", {"count": 2, "of": ["a", "ü"]})
STEPS = (
    Reply((Thinking("Where?"), Text("I shall look."), LOOK)),
    Reply((LOOK, TAKE)),
    Reply((Text("All at once:\n\n"), LOOK, TAKE, ToolUse("take", {}))),
    Reply((ToolUse("look", {"nested": [1, 2.5, None, "𝔘"]}),)),
    Reply((Text("Done."),)),
)
# It replaces ids of calls that have another form by its own, which the proxy does not know.
KEPT_BY_OPENCLAW = re.compile(r"call_[A-Za-z0-9_-]{1,59}")
SHOWN: dict[str, Any] = {
    "reasoning": {"effort": "medium", "summary": "auto"},
    "include": ["reasoning.encrypted_content"],
}


class Person(pydantic.BaseModel):
    """An object that the model is asked for."""

    name: str
    age: int


@pytest_asyncio.fixture(loop_scope="module")
async def sdk(proxy: RunningProxy) -> AsyncIterator[AsyncOpenAI]:
    """Return the OpenAI SDK's client for the shared proxy."""
    async with openai_client(proxy) as client:
        yield client


# --- loops


@pytest.mark.parametrize("form", ["items", "previous"])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_a_tool_loop(
    streamed: bool, form: str, sdk: AsyncOpenAI, proxy: RunningProxy, upstream: ScriptedUpstream
) -> None:
    """Each step costs one request and continues in its process, with its items or by the response's id."""
    upstream.script(*STEPS)
    first = [{"role": "developer", "content": "You work."}, user("/loop until it is done")]
    more = {"store": False, **SHOWN} if form == "items" else SHOWN
    worker = Worker(sdk, new_model(), TOOLS, first, streamed, form == "previous", more)
    for number, expected in enumerate(STEPS, start=1):
        response = await worker.step()
        assert response.status == "completed"
        assert response.output_text == "".join(b.text for b in expected.blocks if isinstance(b, Text))
        calls = [item.name for item in response.output if item.type == "function_call"]
        assert calls == [block.name for block in expected.blocks if isinstance(block, ToolUse)]
        assert len(upstream.requests) == number
        assert worker.conversation() == by_call(seen_but_thoughts(upstream))
        assert seen_system(upstream) == "You work."

    assert worker.heard[0].output[0].summary[0].text == "Where?"
    assert await live(proxy, worker.model, len(STEPS)) == [False] + [True] * (len(STEPS) - 1)


async def test_as_openclaw_sends_it(
    sdk: AsyncOpenAI, proxy: RunningProxy, upstream: ScriptedUpstream
) -> None:
    """Items without ids, thoughts without signature, output in parts: the conversation continues in place."""
    upstream.script(*STEPS)
    items: list[dict[str, Any]] = [
        {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "You work."}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "work"}]},
    ]
    model = new_model()
    for number in range(1, len(STEPS) + 1):
        fields = {"model": model, "store": False, "max_output_tokens": 32000, "tools": TOOLS, **SHOWN}
        response = await hear(sdk, streamed=True, input=items, **fields)
        kept = [
            {key: value for key, value in item.items() if key not in {"id", "status", "encrypted_content"}}
            for item in handed_back(response)
        ]
        assert all(KEPT_BY_OPENCLAW.fullmatch(item["call_id"]) for item in kept if "call_id" in item)
        outputs = [
            {**one, "output": [{"type": "input_text", "text": one["output"]}, IMAGE]} for one in results(kept)
        ]
        items += [*kept, *outputs]
        assert len(upstream.requests) == number

    assert await live(proxy, model, len(STEPS)) == [False] + [True] * (len(STEPS) - 1)


async def test_tools_of_free_text(sdk: AsyncOpenAI, proxy: RunningProxy, upstream: ScriptedUpstream) -> None:
    """A custom tool and one of a namespace are called as such, and their results continue in place."""
    patch = '*** Begin\n+"ü" \\ 𝔘\n*** End'
    upstream.script(
        Reply((ToolUse("patch", {"input": patch}), ToolUse("box__look", {"a": 1}))), Reply((Text("ok"),))
    )
    box = {"type": "namespace", "name": "box", "description": "A box.", "tools": [function("look")]}
    model = new_model()
    tools: list[Any] = [custom("patch"), box, {"type": "web_search"}]
    raw = await sdk.responses.with_raw_response.create(model=model, input="work", tools=tools)
    assert raw.headers["x-proxy-ignored"] == "tools.web_search"
    first = raw.parse()
    assert sorted(offered(upstream)) == ["box__look", "patch"]
    text, call = handed_back(first)
    assert (text["type"], text["name"], text["input"]) == ("custom_tool_call", "patch", patch)
    assert (call["type"], call["namespace"], call["name"]) == ("function_call", "box", "look")

    items: list[Any] = [user("work"), text, call, *results([text, call])]
    second = await sdk.responses.create(model=model, input=items, tools=tools)

    assert second.output_text == "ok"
    assert len(upstream.requests) == 2
    assert await live(proxy, model, 2) == [False, True]


async def test_pictures(sdk: AsyncOpenAI, proxy: RunningProxy, upstream: ScriptedUpstream) -> None:
    """Images of users and of tools arrive, and the conversation about them continues in place."""
    upstream.script(Reply((LOOK,)), Reply((Text("A dot."),)), Reply((Text("Still a dot."),)))
    model = new_model()
    asking: Any = {"role": "user", "content": [{"type": "input_text", "text": "what?"}, IMAGE]}
    first = await sdk.responses.create(model=model, input=[asking], tools=TOOLS)
    call = first.output[0]
    assert call.type == "function_call"
    shown: Any = {"type": "function_call_output", "call_id": call.call_id, "output": [IMAGE]}
    second = await sdk.responses.create(
        model=model, input=[shown], previous_response_id=first.id, tools=TOOLS
    )
    third = await sdk.responses.create(
        model=model, input="sure?", previous_response_id=second.id, tools=TOOLS
    )

    assert third.output_text == "Still a dot."
    picture = ("image", "image/png", PNG)
    (_, said), _, (_, given), *_ = seen(upstream)
    assert said == [("text", "what?"), picture]
    assert given == [("result", 0, [picture])]
    assert await live(proxy, model, 3) == [False, True, True]


async def test_a_model_of_pydantic(sdk: AsyncOpenAI, proxy: RunningProxy, upstream: ScriptedUpstream) -> None:
    """``responses.parse`` returns the object, and the conversation about it continues in place."""
    ada: dict[str, Any] = {"name": 'Ada "ü"', "age": 36}
    upstream.script(*[Reply((ToolUse("StructuredOutput", ada),))] * 2)
    model = new_model()
    first = await sdk.responses.parse(model=model, input="who?", text_format=Person)
    assert first.output_parsed == Person(**ada)
    again = await sdk.responses.parse(
        model=model, input="who again?", text_format=Person, previous_response_id=first.id
    )
    assert again.output_parsed == Person(**ada)
    assert await live(proxy, model, 2) == [False, True]


@pytest.mark.parametrize("streamed", [False, True])
async def test_openai_agents(streamed: bool, proxy: RunningProxy, upstream: ScriptedUpstream) -> None:
    """The OpenAI Agents SDK, in its default form, runs an agent with a tool to its end."""

    def weather(city: str) -> str:
        """Return the weather of a city."""
        return f"9 in {city}"

    upstream.script(
        Reply(
            (Thinking("Hm."), ToolUse("weather", {"city": "Zürich"}), ToolUse("weather", {"city": "Oslo"}))
        ),
        Reply((Text("Equal."),)),
    )
    name = new_model()
    async with openai_client(proxy) as client:
        model = agents.OpenAIResponsesModel(model=name, openai_client=client)
        tools: list[Any] = [agents.function_tool(weather)]
        agent = agents.Agent(name="guide", instructions="Be brief.", model=model, tools=tools)
        config = agents.RunConfig(tracing_disabled=True)
        if streamed:
            running = agents.Runner.run_streamed(agent, "warmer?", run_config=config)
            async for _ in running.stream_events():
                pass
            output = running.final_output
        else:
            output = (await agents.Runner.run(agent, "warmer?", run_config=config)).final_output

    assert output == "Equal."
    assert len(upstream.requests) == 2
    assert await live(proxy, name, 2) == [False, True]


# --- OpenAI's client


async def test_the_stream_helper(sdk: AsyncOpenAI, upstream: ScriptedUpstream) -> None:
    """``responses.stream`` puts together what the events contain, thoughts and calls included."""
    upstream.script(STEPS[0])
    async with sdk.responses.stream(model=new_model(), input="work", tools=TOOLS, **SHOWN) as stream:
        kinds = [event.type async for event in stream]
        response = await stream.get_final_response()

    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] == "response.completed"
    thought, message, call = response.output
    assert thought.type == "reasoning"
    assert thought.summary[0].text == "Where?"
    assert message.type == "message"
    assert call.type == "function_call"
    assert response.output_text == "I shall look."
    assert response.usage is not None
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens


async def test_what_was_stored(sdk: AsyncOpenAI, upstream: ScriptedUpstream) -> None:
    """A response can be retrieved, its input listed, and deleted; then it cannot be continued."""
    upstream.script(*[Reply((Text("yes"),))] * 2)
    first = await sdk.responses.create(model=new_model(), input="one")
    second = await sdk.responses.create(model=new_model(), input="two", previous_response_id=first.id)
    assert (await sdk.responses.retrieve(second.id)).model_dump() == second.model_dump()
    listed = await sdk.responses.input_items.list(second.id, order="asc", limit=2)
    items: list[dict[str, Any]] = [item.to_dict() async for item in listed if item.type == "message"]
    texts = [item["content"][0]["text"] for item in items]
    assert texts == ["one", "yes", "two"]

    await sdk.responses.delete(first.id)

    with pytest.raises(openai.NotFoundError):
        await sdk.responses.retrieve(first.id)
    with pytest.raises(openai.BadRequestError) as caught:
        await sdk.responses.create(model=new_model(), input="three", previous_response_id=first.id)
    assert caught.value.code == "previous_response_not_found"


async def test_a_long_wait(start_proxy: StartProxy, upstream: ScriptedUpstream) -> None:
    """While the model is silent, events are sent, which every client accepts, the stream helper too."""
    upstream.script(Reply((Text("one two three"),), delay=1.0, pace=0.5))
    proxy = await start_proxy(server={"keep_alive": 0.1, "hold": 0.2})
    async with (
        openai_client(proxy) as client,
        client.responses.stream(model="claude-sonnet-4", input="hi") as stream,
    ):
        kinds = [event.type async for event in stream]
        response = await stream.get_final_response()

    assert kinds.count("response.created") == 1
    assert kinds.count("response.in_progress") > 5
    assert response.output_text == "one two three"


async def test_a_stream_that_fails(sdk: AsyncOpenAI, upstream: ScriptedUpstream) -> None:
    """A failure after the first words ends the stream with ``response.failed`` and its reason."""
    upstream.script(ErrorEvent(after=3, message="Overloaded for now"))
    response = await hear(sdk, streamed=True, model=new_model(), input="hi")
    assert response.status == "failed"
    assert response.error is not None
    assert response.error.code == "server_error"
    assert "Overloaded" in response.error.message


async def test_the_limit(sdk: AsyncOpenAI, upstream: ScriptedUpstream) -> None:
    """An answer that reaches its limit is incomplete, and says why."""
    upstream.script(Reply((Text("and then"),), stop_reason="max_tokens"))
    response = await hear(sdk, streamed=True, model=new_model(), input="tell", max_output_tokens=2000)
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"


async def test_errors(sdk: AsyncOpenAI, upstream: ScriptedUpstream) -> None:
    """A failure before the answer is a status with OpenAI's envelope, streamed or not."""
    for streamed in (False, True):
        with pytest.raises(openai.NotFoundError) as unknown:
            await hear(sdk, streamed=streamed, model="gpt-none", input="hi")
        assert unknown.value.code == "model_not_found"
        upstream.script(fault(400, message="prompt is too long: 5 tokens > 4 maximum"))
        with pytest.raises(openai.BadRequestError) as caught:
            await hear(sdk, streamed=streamed, model=new_model(), input="hi")
        assert caught.value.code == "context_length_exceeded"
