"""Writes a case in each of the three APIs, and reads what matters from their answers."""

from __future__ import annotations

import json
from typing import Any

from tests.end_to_end.differential.drawing import Case, OfferedTool


Body = dict[str, Any]
ROUTES = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages"}


def chat_messages(case: Case) -> list[Body]:
    """Return the conversation as chat messages."""
    written: list[Body] = [{"role": "system", "content": case.system}] if case.system else []
    for turn, step in enumerate(case.past):
        written.append({"role": "user", "content": step.user})
        answer: Body = {"role": "assistant", "content": step.assistant}
        calls = [
            {
                "id": f"call{turn}x{number}",
                "type": "function",
                "function": {"name": name, "arguments": _json(given)},
            }
            for number, (name, given, _) in enumerate(step.calls)
        ]
        written.append({**answer, "tool_calls": calls} if calls else answer)
        written += [
            {"role": "tool", "tool_call_id": f"call{turn}x{number}", "content": result}
            for number, (_, _, result) in enumerate(step.calls)
        ]
    return [*written, {"role": "user", "content": case.question}]


def write(case: Case, dialect: str, model: str) -> Body:
    """Return the whole body."""
    return {"chat": _chat, "responses": _responses, "messages": _messages}[dialect](case, model)


def called(answer: Body, dialect: str) -> list[tuple[str, Any]]:
    """Return the calls in a whole answer: each tool's name and arguments."""
    match dialect:
        case "chat":
            calls = answer["choices"][0]["message"].get("tool_calls") or []
            return [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls]
        case "responses":
            items = [item for item in answer["output"] if item["type"] == "function_call"]
            return [(item["name"], json.loads(item["arguments"])) for item in items]
        case _:
            blocks = [block for block in answer["content"] if block["type"] == "tool_use"]
            return [(block["name"], block["input"]) for block in blocks]


def _chat(case: Case, model: str) -> Body:
    body: Body = {"model": model, "messages": chat_messages(case), **case.knobs}
    if case.tools:
        body["tools"] = [
            {"type": "function", "function": {"name": tool.name, **tool.said}} for tool in case.tools
        ]
        body["tool_choice"] = _choice(case, lambda name: {"type": "function", "function": {"name": name}})
    if case.schema is not None:
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "n", "schema": case.schema}}
    return body


def _responses(case: Case, model: str) -> Body:
    items: list[Body] = []
    for turn, step in enumerate(case.past):
        items.append({"role": "user", "content": step.user})
        items.append({"role": "assistant", "content": step.assistant})
        for number, (name, given, _) in enumerate(step.calls):
            call = {"call_id": f"call{turn}x{number}", "name": name, "arguments": _json(given)}
            items.append({"type": "function_call", **call})
        for number, (_, _, result) in enumerate(step.calls):
            items.append(
                {"type": "function_call_output", "call_id": f"call{turn}x{number}", "output": result}
            )
    body: Body = {"model": model, "input": [*items, {"role": "user", "content": case.question}]}
    names = {"max_tokens": "max_output_tokens"}
    body |= {names.get(name, name): value for name, value in case.knobs.items() if name != "stop"}
    if case.system:
        body["instructions"] = case.system
    if case.tools:
        body["tools"] = [{"type": "function", "name": tool.name, **tool.said} for tool in case.tools]
        body["tool_choice"] = _choice(case, lambda name: {"type": "function", "name": name})
    if case.schema is not None:
        body["text"] = {"format": {"type": "json_schema", "name": "n", "schema": case.schema}}
    return body


def _messages(case: Case, model: str) -> Body:
    turns: list[Body] = []
    results: list[Body] = []
    for turn, step in enumerate(case.past):
        turns.append({"role": "user", "content": [*results, {"type": "text", "text": step.user}]})
        calls = [
            {"type": "tool_use", "id": f"call{turn}x{number}", "name": name, "input": given}
            for number, (name, given, _) in enumerate(step.calls)
        ]
        turns.append({"role": "assistant", "content": [{"type": "text", "text": step.assistant}, *calls]})
        results = [
            {"type": "tool_result", "tool_use_id": f"call{turn}x{number}", "content": result}
            for number, (_, _, result) in enumerate(step.calls)
        ]
    turns.append({"role": "user", "content": [*results, {"type": "text", "text": case.question}]})
    body: Body = {"model": model, "max_tokens": 4000, "messages": turns}
    names = {"stop": "stop_sequences"}
    body |= {names.get(name, name): value for name, value in case.knobs.items()}
    if case.system:
        body["system"] = case.system
    if case.tools:
        body["tools"] = [_messages_tool(tool) for tool in case.tools]
        words = {"auto": {"type": "auto"}, "none": {"type": "none"}, "required": {"type": "any"}}
        choice = case.choice
        named = {"type": "tool", "name": case.tools[choice].name} if isinstance(choice, int) else {}
        body["tool_choice"] = named or words[str(choice)]
    if case.schema is not None:
        body["output_config"] = {"format": {"type": "json_schema", "schema": case.schema}}
    return body


def _messages_tool(tool: OfferedTool) -> Body:
    said = dict(tool.said)
    parameters = said.pop("parameters", None) or {"type": "object"}
    return {"name": tool.name, "input_schema": parameters, **said}


def _choice(case: Case, named: Any) -> Any:
    return named(case.tools[case.choice].name) if isinstance(case.choice, int) else case.choice


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
