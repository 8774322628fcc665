"""Open WebUI: not the program, which takes several GB, but its requests, as its source has them."""

from __future__ import annotations

import json
from typing import Any

import httpx

from claude_max_proxy.testing import Reply, Text, ToolUse, conversation, words
from tests.clients.client import Client
from tests.clients.expecting import holds, same
from tests.clients.stage import Stage
from tests.clients.tools import PIXEL


client = Client("open-webui", "Open WebUI (its requests)", quick=True)
HEADERS = {
    "Authorization": "Bearer unused",
    "User-Agent": "Python/3.11 aiohttp/3.13",
    "X-OpenWebUI-User-Name": "Ada%20L",
    "X-OpenWebUI-User-Id": "1",
    "X-OpenWebUI-User-Email": "ada@example.org",
    "X-OpenWebUI-User-Role": "admin",
}
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tell the weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": ""}},
            "required": ["city"],
        },
    },
}


async def post(stage: Stage, messages: list[dict[str, Any]], **fields: Any) -> httpx.Response:
    """Ask as it does."""
    body = {"model": "claude-sonnet-4", "messages": messages, **fields}
    async with stage.proxy.client(headers=HEADERS) as http:
        response = await http.post("/v1/chat/completions", json=body)
    stage.said += [json.dumps(body), response.text]
    same(response.status_code, 200, "the status")
    return response


def deltas(response: httpx.Response) -> list[dict[str, Any]]:
    """Return the deltas of a stream."""
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: {")]
    return [choice["delta"] for line in lines for choice in json.loads(line)["choices"]]


async def task(stage: Stage, prompt: str, wanted: dict[str, Any], **fields: Any) -> None:
    """Make one of its requests in the background, whose answer must be the model's JSON unchanged."""
    stage.upstream.script(Reply((Text(json.dumps(wanted)),)))
    answer = (await post(stage, [{"role": "user", "content": prompt}], stream=False, **fields)).json()
    same(json.loads(answer["choices"][0]["message"]["content"]), wanted, "the answer")
    same(stage.upstream.requests[-1].body.get("tools", []), [], "the tools")


@client.check(requests=0)
async def models(stage: Stage) -> None:
    """It gets the list of models in the form that it wants: each with an id."""
    async with stage.proxy.client(headers=HEADERS) as http:
        listed = (await http.get("/v1/models")).json()
    same(listed["object"], "list", "the object")
    holds("claude-sonnet-4" in [model["id"] for model in listed["data"]], f"it is not among {listed}")


@client.check(requests=2)
async def chat(stage: Stage) -> None:
    """A streamed chat of two turns, with usage, continues in place."""
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "[[deltas 20]]"}]
    options = {"stream": True, "stream_options": {"include_usage": True}}
    first = await post(stage, messages, **options)
    said = "".join(delta.get("content") or "" for delta in deltas(first))
    same(said, words(20), "the answer")
    messages += [{"role": "assistant", "content": said}, {"role": "user", "content": "And [[say more]]"}]
    last = await post(stage, messages, **options)
    holds('"prompt_tokens"' in last.text, "there is no usage")
    same(await stage.live(2), [False, True], "which requests went on in place")


@client.check(requests=2)
async def native_tools(stage: Stage) -> None:
    """The model calls tools natively; the calls come back with their index, and with the text before them."""
    stage.upstream.script(
        Reply((Text("Let me see."), ToolUse("weather", {"city": "Oslo"}))), Reply((Text("It is warm."),))
    )
    messages: list[dict[str, Any]] = [{"role": "user", "content": "How is it?"}]
    found = deltas(await post(stage, messages, tools=[TOOL], stream=True))
    call: dict[str, Any] = {}
    for fragment in (one for delta in found for one in delta.get("tool_calls") or []):
        if not call:
            call = fragment
        else:
            call["function"]["arguments"] += fragment["function"]["arguments"]
    messages += [
        {"role": "assistant", "content": "Let me see.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call["id"], "content": "21 in Oslo"},
    ]
    last = deltas(await post(stage, messages, tools=[TOOL], stream=True))
    same("".join(delta.get("content") or "" for delta in last), "It is warm.", "the answer")
    same(await stage.live(2), [False, True], "which requests went on in place")


@client.check(requests=1)
async def image(stage: Stage) -> None:
    """An image in a chat reaches the model."""
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    await post(stage, [{"role": "user", "content": parts}], stream=True)
    same(
        [block["type"] for block in conversation(stage.upstream.requests[-1].body)[0][1]],
        ["text", "image"],
        "it",
    )


@client.check(requests=1)
async def title(stage: Stage) -> None:
    """It gets the title of a chat, for which it asks its task model with a small limit."""
    await task(stage, "Make a title.", {"title": "Weather in Oslo"}, max_completion_tokens=1000)


@client.check(requests=1)
async def tags(stage: Stage) -> None:
    """It gets the tags of a chat."""
    await task(stage, "Make tags.", {"tags": ["Weather", "Norway"]})


@client.check(requests=1)
async def follow_ups(stage: Stage) -> None:
    """It gets questions with which to continue."""
    await task(stage, "What might be asked next?", {"follow_ups": ["And tomorrow?"]})
