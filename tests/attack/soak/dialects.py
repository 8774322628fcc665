"""The client APIs in the form of a plain client: turns a conversation into a body, and reads the answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Turn:
    """A turn of a conversation: what the user or a tool says, or what the assistant said or called."""

    role: str
    text: str = ""
    call: tuple[str, str] | None = None
    """The call's id and tool: of the assistant's turn that makes it, or of the result."""


@dataclass
class Answer:
    """An answer: its text, a call, and whether it is complete or ended in an error with this code."""

    text: str = ""
    call: tuple[str, str] | None = None
    error: str = ""
    ended: bool = False


@dataclass(frozen=True)
class Dialect:
    """How an API is used; `tools` and `turns` say whether it has them."""

    path: str
    body: Callable[[list[Turn], bool], dict[str, Any]]
    whole: Callable[[dict[str, Any], Answer], None]
    event: Callable[[dict[str, Any], Answer], None]
    tools: bool = True
    turns: bool = True


def read_whole(dialect: Dialect, content: bytes) -> Answer:
    """Read an answer that is a single document."""
    answer = Answer(ended=True)
    dialect.whole(json.loads(content), answer)
    return answer


def read_stream(dialect: Dialect, text: str) -> Answer:
    """Read an answer that is a stream of events."""
    answer = Answer()
    for data in _datas(text):
        if data == "[DONE]":
            answer.ended = True
        elif data:
            event = json.loads(data)
            if isinstance(event.get("error"), dict):
                answer.error = code_of(event)
            dialect.event(event, answer)
    return answer


def code_of(document: dict[str, Any]) -> str:
    """Return the code of an error in any API's envelope, or an empty text if it is none."""
    error = document.get("error")
    return str(error.get("code") or error.get("type") or "") if isinstance(error, dict) else ""


def _datas(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        if line.startswith("data:"):
            yield line.removeprefix("data:").strip()


_SCHEMA = {"type": "object", "properties": {"where": {"type": "string"}}}


# --- chat completions


def _chat(turns: list[Turn], tools: bool) -> dict[str, Any]:
    messages: list[dict[str, Any]] = []
    for turn in turns:
        message: dict[str, Any] = {"role": turn.role, "content": turn.text}
        if turn.call and turn.role == "assistant":
            function = {"name": turn.call[1], "arguments": '{"where": "here"}'}
            message["tool_calls"] = [{"id": turn.call[0], "type": "function", "function": function}]
        elif turn.call:
            message["tool_call_id"] = turn.call[0]
        messages.append(message)
    offered = [{"type": "function", "function": {"name": "look", "parameters": _SCHEMA}}]
    return {"messages": messages, **({"tools": offered} if tools else {})}


def _chat_whole(document: dict[str, Any], answer: Answer) -> None:
    message = document["choices"][0]["message"]
    answer.text = message.get("content") or ""
    for call in message.get("tool_calls") or []:
        answer.call = (call["id"], call["function"]["name"])


def _chat_event(event: dict[str, Any], answer: Answer) -> None:
    for choice in event.get("choices") or []:
        delta = choice.get("delta") or {}
        answer.text += delta.get("content") or ""
        for call in delta.get("tool_calls") or []:
            if call.get("id"):
                answer.call = (call["id"], call["function"]["name"])


# --- the Messages API


def _messages(turns: list[Turn], tools: bool) -> dict[str, Any]:
    messages: list[dict[str, Any]] = []
    for turn in turns:
        blocks: list[dict[str, Any]] = [{"type": "text", "text": turn.text}] if turn.text else []
        if turn.call and turn.role == "assistant":
            use = {"type": "tool_use", "id": turn.call[0], "name": turn.call[1], "input": {"where": "here"}}
            blocks.append(use)
        elif turn.call:
            blocks = [{"type": "tool_result", "tool_use_id": turn.call[0], "content": turn.text}]
        messages.append({"role": "assistant" if turn.role == "assistant" else "user", "content": blocks})
    offered = [{"name": "look", "input_schema": _SCHEMA}]
    return {"messages": messages, "max_tokens": 1000, **({"tools": offered} if tools else {})}


def _messages_whole(document: dict[str, Any], answer: Answer) -> None:
    for block in document["content"]:
        if block["type"] == "text":
            answer.text += block["text"]
        elif block["type"] == "tool_use":
            answer.call = (block["id"], block["name"])


def _messages_event(event: dict[str, Any], answer: Answer) -> None:
    match event.get("type"):
        case "content_block_start" if event["content_block"]["type"] == "tool_use":
            answer.call = (event["content_block"]["id"], event["content_block"]["name"])
        case "content_block_delta":
            answer.text += event["delta"].get("text", "")
        case "message_stop":
            answer.ended = True


# --- the Responses API


def _responses(turns: list[Turn], tools: bool) -> dict[str, Any]:
    items: list[dict[str, Any]] = []
    for turn in turns:
        if turn.call and turn.role == "assistant":
            call = {"type": "function_call", "call_id": turn.call[0], "name": turn.call[1]}
            items.append({**call, "arguments": '{"where": "here"}'})
        elif turn.call:
            items.append({"type": "function_call_output", "call_id": turn.call[0], "output": turn.text})
        else:
            items.append({"role": turn.role, "content": turn.text})
    offered = [{"type": "function", "name": "look", "parameters": _SCHEMA, "strict": False}]
    return {"input": items, "store": False, **({"tools": offered} if tools else {})}


def _responses_whole(document: dict[str, Any], answer: Answer) -> None:
    for item in document["output"]:
        if item["type"] == "message":
            answer.text += "".join(part.get("text", "") for part in item["content"])
        elif item["type"] == "function_call":
            answer.call = (item["call_id"], item["name"])


def _responses_event(event: dict[str, Any], answer: Answer) -> None:
    match event.get("type"):
        case "response.output_text.delta":
            answer.text += event["delta"]
        case "response.output_item.done" if event["item"]["type"] == "function_call":
            answer.call = (event["item"]["call_id"], event["item"]["name"])
        case "response.completed":
            answer.ended = True
        case "response.failed" | "error":
            failed = event.get("response") or event
            answer.error = code_of(failed) or str(failed.get("code") or "error")


# --- the first API


def _completions(turns: list[Turn], _: bool) -> dict[str, Any]:
    return {"prompt": turns[-1].text, "max_tokens": 1000}


def _completions_whole(document: dict[str, Any], answer: Answer) -> None:
    answer.text = document["choices"][0]["text"]


def _completions_event(event: dict[str, Any], answer: Answer) -> None:
    answer.text += "".join(choice.get("text") or "" for choice in event.get("choices") or [])


DIALECTS = {
    "chat": Dialect("/v1/chat/completions", _chat, _chat_whole, _chat_event),
    "messages": Dialect("/v1/messages", _messages, _messages_whole, _messages_event),
    "responses": Dialect("/v1/responses", _responses, _responses_whole, _responses_event),
    "completions": Dialect(
        "/v1/completions", _completions, _completions_whole, _completions_event, tools=False, turns=False
    ),
}
