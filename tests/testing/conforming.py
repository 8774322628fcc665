"""What the conformance suite is tried on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from claude_max_proxy import (
    Backend,
    Finished,
    Message,
    PartStarted,
    Request,
    Started,
    Text,
    complete_part,
)
from claude_max_proxy.config import PluginsConfig
from claude_max_proxy.plugin.drop_ins import DropIns
from claude_max_proxy.plugin.plugins import Plugins


CHAT = [
    b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}',
    (
        b'{"model": "m", "stream": true, "stream_options": {"include_usage": true}, "temperature": 0.5,'
        b' "max_tokens": 9, "stop": ["x"], "reasoning_effort": "low", "user": "u", "n": 1,'
        b' "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],'
        b' "messages": [{"role": "system", "content": "Be brief."},'
        b' {"role": "user", "content": [{"type": "text", "text": "hi"}]}]}'
    ),
]
RESPONSES = [
    b'{"model": "m", "input": "hi"}',
    (
        b'{"model": "m", "stream": true, "store": true, "previous_response_id": "resp_1", "temperature": 0.5,'
        b' "max_output_tokens": 9, "instructions": "Be brief.", "user": "u", "metadata": {"a": "b"},'
        b' "reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"],'
        b' "text": {"format": {"type": "text"}}, "tool_choice": "auto", "parallel_tool_calls": true,'
        b' "tools": [{"type": "function", "name": "look", "parameters": {"type": "object"}}],'
        b' "input": [{"role": "system", "content": "Be brief."},'
        b' {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}]}'
    ),
]


def backend_of(folder: Path, wanted: str) -> Callable[[], Any]:
    """Return a function that makes a backend of a type that a drop-in registers."""
    made: dict[str, Callable[[], Backend]] = {}

    def register(type_: str, settings: Any, build: Any) -> None:
        made[type_] = lambda: build("mine", settings())

    Plugins(DropIns([folder]).plugins(), PluginsConfig()).register_backends(register)
    return made[wanted]


CALL: list[Any] = [
    Started("m"),
    *complete_part(PartStarted(0, "tool_call", "call1", "look"), "{}"),
    Finished("tool_calls"),
]


def scripted(make: Callable[[], Any], by_text: dict[str, list[Any]]) -> Callable[[], Any]:
    """Return a scripted backend that answers some texts by special scripts."""

    def build() -> Any:
        backend = make()
        usual, answer = backend.script, backend.answer

        def chosen(request: Request, model: str) -> Any:
            (part,) = request.messages[-1].parts
            backend.script = by_text.get(part.text, usual) if isinstance(part, Text) else usual
            return answer(request, model)

        backend.answer = chosen
        return backend

    return build


def asking(text: str) -> Request:
    """Return a request with this text."""
    return Request("m", messages=[Message("user", [Text(text)])])
