"""Short ways to ask the proxy over HTTP."""

from __future__ import annotations

import json
from typing import Any

import httpx


ROUTE = "/v1/chat/completions"
MODEL = "claude-sonnet-4"


def body(messages: str | list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    """Return a request's body; a string becomes one user message."""
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    return {"model": MODEL, "messages": messages, **fields}


async def ask(
    client: httpx.AsyncClient, messages: str | list[dict[str, Any]], **fields: Any
) -> httpx.Response:
    """Ask, whole unless `stream` says otherwise, and return the complete response, whatever its status."""
    return await client.post(ROUTE, json=body(messages, **fields))


async def answer(client: httpx.AsyncClient, messages: str | list[dict[str, Any]], **fields: Any) -> str:
    """Ask for a whole reply, which must succeed, and return its text."""
    response = await ask(client, messages, **fields)
    assert response.status_code == 200, response.text
    return response.json()["choices"][0]["message"]["content"]


def chunks(response: httpx.Response) -> list[dict[str, Any]]:
    """Return the chunks of a complete stream, which must end in `[DONE]`."""
    assert response.headers["content-type"].startswith("text/event-stream"), response.text
    events = [event for event in response.text.split("\n\n") if event]
    assert all(event.startswith("data: ") for event in events)
    datas = [event.removeprefix("data: ") for event in events]
    assert datas[-1] == "[DONE]"
    return [json.loads(data) for data in datas[:-1]]


def streamed_text(response: httpx.Response) -> str:
    """Return the joined content of a complete stream."""
    choices = [choice for chunk in chunks(response) for choice in chunk.get("choices", [])]
    return "".join(choice["delta"].get("content") or "" for choice in choices)
