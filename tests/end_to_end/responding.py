"""A client of the Responses API that works with tools: it asks, reads items, and sends their results back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from openai import AsyncOpenAI

from claude_max_proxy.testing import ScriptedUpstream
from tests.end_to_end.comparing import Turn, asked, seen_in


Item = dict[str, Any]


def user(text: str) -> Item:
    """Return a user's message, as short as the API allows."""
    return {"role": "user", "content": text}


def function(name: str) -> dict[str, Any]:
    """Return a function that accepts any object."""
    return {
        "type": "function",
        "name": name,
        "parameters": {"type": "object", "properties": {}},
        "strict": False,
    }


def custom(name: str) -> dict[str, Any]:
    """Return a tool with free text as its input."""
    return {"type": "custom", "name": name, "description": "Takes text."}


async def hear(sdk: AsyncOpenAI, *, streamed: bool, **fields: Any) -> Any:
    """Ask, and return the complete response."""
    if not streamed:
        return await sdk.responses.create(**fields)

    last = None
    numbers = []
    async for event in await sdk.responses.create(stream=True, **fields):
        numbers.append(event.sequence_number)
        last = event
    assert numbers == list(range(len(numbers)))
    assert last is not None
    return last.response


def handed_back(response: Any) -> list[Item]:
    """Return a response's output in the form in which a client sends it from now on."""
    return [item.model_dump(exclude_none=True) for item in response.output]


def results(items: list[Item]) -> list[Item]:
    """Run the calls among these items; the result of each depends on the whole call."""
    return [
        {
            "type": f"{item['type']}_output",
            "call_id": item["call_id"],
            "output": f"/{item['name']} gave {item.get('arguments', item.get('input'))}",
        }
        for item in items
        if item["type"] in {"function_call", "custom_tool_call"}
    ]


def seen_but_thoughts(upstream: ScriptedUpstream) -> list[Turn]:
    """Return the conversation of the upstream's last request, without what the model thought."""
    body = upstream.requests[-1].body
    said = [
        {**message, "content": [block for block in message["content"] if block["type"] != "thinking"]}
        if isinstance(message["content"], list)
        else message
        for message in body["messages"]
    ]
    return seen_in({**body, "messages": said})


@dataclass
class Worker:
    """Works step by step: asks, keeps the output, and runs the calls in it.

    With ``previous`` it sends only what is new, and names the response before.
    """

    sdk: AsyncOpenAI
    model: str
    tools: list[dict[str, Any]]
    items: list[Item]
    streamed: bool = False
    previous: bool = False
    fields: dict[str, Any] = field(default_factory=dict)
    heard: list[Any] = field(default_factory=list)
    asked_last: list[Item] = field(default_factory=list)
    _known: int = 0

    async def step(self) -> Any:
        """Ask once; add the output, and the results of its calls, to the items."""
        self.asked_last = list(self.items)
        fields: dict[str, Any] = {"model": self.model, "tools": self.tools, **self.fields}
        if self.previous and self.heard:
            fields |= {"previous_response_id": self.heard[-1].id, "input": self.items[self._known :]}
        else:
            fields |= {"input": self.items}
        response = await hear(self.sdk, streamed=self.streamed, **fields)
        self.heard.append(response)
        output = handed_back(response)
        self.items = [*self.items, *output]
        self._known = len(self.items)
        self.items += results(output)
        return response

    def conversation(self) -> list[Turn]:
        """Return the newest conversation in the form in which it is compared with the upstream's."""
        return asked([message for item in self.asked_last for message in _as_chat(item)])


def _as_chat(item: Item) -> list[dict[str, Any]]:
    """Return an item as chat messages, without instructions and thoughts."""
    match item.get("type", "message"):
        case "message":
            content = item["content"]
            texts = [content] if isinstance(content, str) else [part["text"] for part in content]
            return [{"role": item["role"], "content": text} for text in texts if text]
        case "function_call":
            call = {"name": item["name"], "arguments": item["arguments"]}
            return [{"role": "assistant", "tool_calls": [{"id": item["call_id"], "function": call}]}]
        case "function_call_output":
            return [{"role": "tool", "tool_call_id": item["call_id"], "content": item["output"]}]
        case _:
            return []
