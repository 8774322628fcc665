"""Agent frameworks run a tool agent through the proxy unchanged."""

from __future__ import annotations

from typing import Any

import agents
import httpx
import pytest
from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from claude_max_proxy.testing import Reply, ScriptedUpstream, Text, ToolUse
from tests.end_to_end.comparing import seen
from tests.end_to_end.running import RunningProxy
from tests.end_to_end.working import MODELS, by_call, live, new_model, offered, openai_client


PROXY_TOML = MODELS
SCRIPT = (
    Reply(
        (Text("Let me see."), ToolUse("weather", {"city": "Zürich"}), ToolUse("weather", {"city": "Oslo"}))
    ),
    Reply((ToolUse("warmest", {"a": 21, "b": 9}),)),
    Reply((Text("Zürich is warmer."),)),
)
EXPECTED = [
    ("user", [("text", "/where is it warmer?")]),
    (
        "assistant",
        [
            ("text", "Let me see."),
            ("call", 0, "weather", {"city": "Zürich"}),
            ("call", 1, "weather", {"city": "Oslo"}),
        ],
    ),
    ("user", [("result", 0, [("text", "21 in Zürich")]), ("result", 1, [("text", "9 in Oslo")])]),
    ("assistant", [("call", 2, "warmest", {"a": 21, "b": 9})]),
    ("user", [("result", 2, [("text", "21")])]),
]


def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"{len(city) * 3.5 if city == 'Zürich' else 9:.0f} in {city}"


def warmest(a: int, b: int) -> str:
    """Tell the higher of two temperatures."""
    return str(max(a, b))


async def check(proxy: RunningProxy, upstream: ScriptedUpstream, model: str) -> None:
    """Check that three requests, the later two in place, carried the whole conversation."""
    assert by_call(seen(upstream)) == EXPECTED
    assert sorted(offered(upstream)) == ["warmest", "weather"]
    assert await live(proxy, model, 3) == [False, True, True]
    assert len(upstream.requests) == 3


@pytest.mark.parametrize("streamed", [False, True])
async def test_openai_agents(streamed: bool, proxy: RunningProxy, upstream: ScriptedUpstream) -> None:
    """The OpenAI Agents SDK runs an agent with two tools to its end."""
    upstream.script(*SCRIPT)
    name = new_model()
    async with openai_client(proxy) as client:
        model = agents.OpenAIChatCompletionsModel(model=name, openai_client=client)
        tools: list[Any] = [agents.function_tool(weather), agents.function_tool(warmest)]
        agent = agents.Agent(name="guide", instructions="Be brief.", model=model, tools=tools)
        config = agents.RunConfig(tracing_disabled=True)
        if streamed:
            running = agents.Runner.run_streamed(agent, "/where is it warmer?", run_config=config)
            async for _ in running.stream_events():
                pass
            output = running.final_output
        else:
            output = (await agents.Runner.run(agent, "/where is it warmer?", run_config=config)).final_output

    assert output == "Zürich is warmer."
    await check(proxy, upstream, name)


@pytest.mark.parametrize("streamed", [False, True])
async def test_langchain(streamed: bool, proxy: RunningProxy, upstream: ScriptedUpstream) -> None:
    """LangChain's tool agent runs to its end."""
    upstream.script(*SCRIPT)
    name = new_model()
    async with httpx.AsyncClient(trust_env=False) as http:
        model = ChatOpenAI(
            model=name,
            base_url=f"{proxy.url}/v1",
            api_key="none",
            max_retries=0,
            streaming=streamed,
            http_async_client=http,
        )
        agent = create_agent(model, [tool(weather), tool(warmest)], system_prompt="Be brief.")
        state = await agent.ainvoke({"messages": [{"role": "user", "content": "/where is it warmer?"}]})

    assert state["messages"][-1].text == "Zürich is warmer."
    await check(proxy, upstream, name)
