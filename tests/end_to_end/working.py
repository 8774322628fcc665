"""A client that works with tools: it asks, streamed, reads the calls, and sends their results back."""

from __future__ import annotations

import itertools
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from openai import AsyncOpenAI, AsyncStream, DefaultAsyncHttpxClient
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from claude_max_proxy.testing import Reply, ScriptedUpstream, Text, ToolUse
from tests.end_to_end.comparing import Block, Turn, asked
from tests.end_to_end.running import RunningProxy, until


MODELS = '[models]\n"sonnet-*" = "claude/sonnet"\n'
"""What a module's `PROXY_TOML` says so that each test can ask for a name of its own, see `new_model`."""
CALL_ID = re.compile(r"call[A-Za-z0-9]{24}")

Message = dict[str, Any]
_numbers = itertools.count(1)


def new_model() -> str:
    """Return a model's name that was not asked for yet, so that its lines in the log can be found."""
    return f"sonnet-{next(_numbers)}"


def openai_client(proxy: RunningProxy, **options: Any) -> AsyncOpenAI:
    """Return the OpenAI SDK's client for this proxy; it never tries again by itself."""
    client = DefaultAsyncHttpxClient(trust_env=False)
    return AsyncOpenAI(
        base_url=f"{proxy.url}/v1", api_key="none", max_retries=0, http_client=client, **options
    )


def function(name: str, description: str = "", parameters: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a tool in a client's form; without `parameters` it accepts any object."""
    parameters = {"type": "object", "properties": {}} if parameters is None else parameters
    return {
        "type": "function",
        "function": {"name": name, "description": description, "parameters": parameters},
    }


TOOLS = [function("look", "Looks."), function("take", "Takes."), function("Bash", "Is the client's own.")]
LOOK, TAKE = ToolUse("look", {"where": "here", "deep": True}), ToolUse("take", {"count": 2, "of": ["a", "ü"]})
DONE = Reply((Text("Done."),))


def user(content: Any) -> Message:
    """Return a user's message."""
    return {"role": "user", "content": content}


def result(call_id: str, content: Any) -> Message:
    """Return the message that answers a call."""
    return {"role": "tool", "tool_call_id": call_id, "content": content}


@dataclass
class Heard:
    """One streamed reply, put together as a client does.

    `fragments` are the pieces of tool calls as they came: index, id, name, arguments.
    """

    text: str = ""
    reason: str | None = None
    calls: list[dict[str, Any]] = field(default_factory=list)
    fragments: list[tuple[int, str | None, str | None, str]] = field(default_factory=list)

    @property
    def message(self) -> Message:
        """Return the reply in the form in which the client sends it from now on."""
        message: Message = {"role": "assistant", "content": self.text or None}
        return {**message, "tool_calls": self.calls} if self.calls else message

    def _take(self, index: int, call_id: str | None, name: str | None, arguments: str) -> None:
        self.fragments.append((index, call_id, name, arguments))
        if index == len(self.calls):
            assert call_id is not None, "a call begins with its id"
            opened = {"name": name, "arguments": ""}
            self.calls.append({"id": call_id, "type": "function", "function": opened})
        self.calls[index]["function"]["arguments"] += arguments


def as_typed(messages: list[Message]) -> list[ChatCompletionMessageParam]:
    """Say to the type checker what OpenAI's SDK takes; messages stay as they are, whatever they contain."""
    return cast("list[ChatCompletionMessageParam]", messages)


async def hear(client: AsyncOpenAI, model: str, messages: list[Message], **fields: Any) -> Heard:
    """Ask, streamed, and read the answer to its end."""
    heard = Heard()
    stream: AsyncStream[ChatCompletionChunk] = await client.chat.completions.create(
        model=model, messages=as_typed(messages), stream=True, **fields
    )
    async for chunk in stream:
        for choice in chunk.choices:
            heard.text += choice.delta.content or ""
            heard.reason = choice.finish_reason or heard.reason
            for call in choice.delta.tool_calls or []:
                assert call.function is not None
                heard._take(call.index, call.id, call.function.name, call.function.arguments or "")
    return heard


def as_heard(message: Message) -> Message:
    """Send an answer back exactly as it came."""
    return message


def run(call: dict[str, Any]) -> str:
    """Run a call; its result depends on the whole call, so that no two results can be confused."""
    return f"/{call['function']['name']} gave {call['function']['arguments']} for {call['id'][-6:]}"


@dataclass
class Worker:
    """Works step by step: asks, keeps the answer, and runs the calls in it."""

    client: AsyncOpenAI
    model: str
    tools: list[dict[str, Any]]
    messages: list[Message]
    hand_back: Callable[[Message], Message] = as_heard
    asked_last: list[Message] = field(default_factory=list)

    async def step(self, **fields: Any) -> Heard:
        """Ask once; add the answer, and the results of its calls, to the messages."""
        self.asked_last = list(self.messages)
        heard = await hear(self.client, self.model, self.messages, tools=self.tools, **fields)
        message = self.hand_back(heard.message)
        self.messages.append(message)
        for call in message.get("tool_calls", []):
            self.messages.append(result(call["id"], run(call)))
        return heard

    def conversation(self) -> list[Turn]:
        """Return the newest conversation in the form in which it is compared with the upstream's."""
        return asked(self.asked_last)


def by_call(turns: list[Turn]) -> list[Turn]:
    """Return the results of a turn in the order of its calls.

    2.1.197 sends the results of parallel calls in another order, which the API allows.
    """
    return [(role, sorted(blocks, key=_place)) for role, blocks in turns]


def _place(block: Block) -> int:
    return block[1] if block[0] == "result" else sys.maxsize


async def live(proxy: RunningProxy, model: str, count: int) -> list[bool]:
    """Return, for each of the `count` requests for `model`, whether it went on in place."""

    def lines() -> list[list[str]]:
        words = [rest.split() for status, rest in proxy.access() if status == 200]
        return [line for line in words if line[0] == model]

    assert await until(lambda: len(lines()) >= count), proxy.transcript()
    return ["live" in line for line in lines()]


def offered(upstream: ScriptedUpstream, index: int = -1) -> list[str]:
    """Return the names of the tools that one of the upstream's requests offers to the model."""
    return [tool["name"] for tool in upstream.requests[index].body.get("tools", [])]


def openclaw(message: Message) -> Message:
    """Send an answer back as OpenClaw does: ids stripped, arguments serialised again, no content but null."""
    calls = [
        {
            "id": re.sub(r"[^A-Za-z0-9]", "", call["id"])[:40],
            "type": "function",
            "function": {"name": call["function"]["name"], "arguments": _written_anew(call)},
        }
        for call in message.get("tool_calls", [])
    ]
    return {**message, "tool_calls": calls} if calls else message


def _written_anew(call: dict[str, Any]) -> str:
    arguments = json.loads(call["function"]["arguments"])
    return json.dumps(dict(reversed(_items(arguments))), indent=1, ensure_ascii=True)


def _items(arguments: dict[str, Any]) -> list[tuple[str, Any]]:
    return list(arguments.items())


def fragments_of(heard: Heard) -> Iterator[list[tuple[int, str | None, str | None, str]]]:
    """Return the pieces of each call, in the order in which they came."""
    for _, pieces in itertools.groupby(heard.fragments, key=lambda fragment: fragment[0]):
        yield list(pieces)


async def called(sdk: AsyncOpenAI, model: str, upstream: ScriptedUpstream, *calls: ToolUse) -> list[Message]:
    """Ask so that these calls wait for their results; return the messages so far."""
    upstream.script(Reply(calls), DONE)
    messages = [user("work")]
    heard = await hear(sdk, model, messages, tools=TOOLS)
    assert heard.reason == "tool_calls"
    return [*messages, heard.message]


def ids(messages: list[Message]) -> list[str]:
    """Return the ids of the calls in the last message."""
    return [call["id"] for call in messages[-1]["tool_calls"]]
