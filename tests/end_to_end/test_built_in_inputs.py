"""Calls of tools of the client that are called as the CLI's own, with such inputs: none is rewritten."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai import AsyncOpenAI

from claude_max_proxy.testing import Reply, ScriptedUpstream, Text, ToolUse
from tests.end_to_end.chatting import MODEL


QUESTION = {"question": "q?", "header": "h", "options": [{"label": "a", "description": "b"}] * 2}
INPUTS: list[tuple[str, Any]] = [
    ("Agent", {"description": "d", "prompt": " p ", "subagent_type": "general-purpose"}),
    ("AskUserQuestion", {"questions": [QUESTION]}),
    ("Bash", {"command": "cd /tmp && ls  \n", "description": "d", "timeout": 5}),
    ("Bash", {"command": "find . -exec ls {} \\\\;"}),
    ("BashOutput", {"bash_id": "1"}),
    ("Edit", {"file_path": "a.py", "old_string": "a  \n", "new_string": "b  \n"}),
    ("Edit", {"file_path": "a.py", "old_string": "a  \n", "new_string": "b  \n", "replace_all": True}),
    ("Edit", {"file_path": "a.md", "old_string": "a", "new_string": "b", "more": 1}),
    ("EnterPlanMode", {}),
    ("ExitPlanMode", {"plan": "p"}),
    ("Glob", {"pattern": "*.py"}),
    ("Grep", {"pattern": "x", "-n": "true", "head_limit": "5"}),
    ("KillShell", {"shell_id": "1"}),
    ("LS", {"path": "/"}),
    ("MultiEdit", {"file_path": "a.py", "edits": [{"old_string": "a", "new_string": "b  "}]}),
    ("NotebookEdit", {"notebook_path": "/a.ipynb", "new_source": "x  "}),
    ("Read", {"file_path": "a.py", "offset": "1", "limit": 5}),
    ("SendMessage", {"to": "a", "message": {"x": 1}, "summary": "s"}),
    ("Skill", {"skill": "x"}),
    ("SlashCommand", {"command": "/x"}),
    ("Task", {"description": "d", "prompt": " p ", "subagent_type": "general-purpose"}),
    ("TaskCreate", {"subject": "s", "description": "d"}),
    ("TaskGet", {"taskId": "1"}),
    ("TaskOutput", {"task_id": "1"}),
    ("TaskOutput", {"task_id": "1", "block": False, "timeout": 1}),
    ("TaskStop", {"task_id": "1"}),
    ("TaskUpdate", {"taskId": "1", "status": "completed"}),
    ("TodoWrite", {"todos": [{"content": "x", "status": "pending", "activeForm": "y"}]}),
    ("WebFetch", {"url": "http://example.org", "prompt": "p"}),
    ("WebSearch", {"query": "query"}),
    ("Write", {"file_path": "a.py", "content": "x  \ny\t\n\n"}),
    ("Write", {"file_path": "a.py", "content": "x\u3000\r\ny\n\n"}),
    ("Write", {"file_path": "a.md", "content": "x\n  y\n"}),
]
IDS = [f"{number} {name}" for number, (name, _) in enumerate(INPUTS)]


@pytest.mark.parametrize(("name", "given"), INPUTS, ids=IDS)
@pytest.mark.parametrize("live", [True, False], ids=["made here", "told"])
async def test_an_input(
    sdk: AsyncOpenAI, upstream: ScriptedUpstream, name: str, given: dict[str, Any], *, live: bool
) -> None:
    """Whether the model has just made a call or the client tells of it, its input is as the model gave it."""
    tools: list[Any] = [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}]
    messages: list[Any] = [{"role": "user", "content": f"do {name} {json.dumps(given)} {live}"}]
    call: dict[str, Any] = {
        "id": "call_1",
        "type": "function",
        "function": {"name": name, "arguments": json.dumps(given)},
    }
    if live:
        upstream.script(Reply((ToolUse(name, given),)), Reply((Text("done"),)))
        names = await sdk.chat.completions.create(model=MODEL, messages=messages, tools=tools)
        (made,) = names.choices[0].message.tool_calls or []
        call = made.model_dump()
        assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == (name, given)
    messages += [{"role": "assistant", "content": None, "tool_calls": [call]}]
    messages += [{"role": "tool", "tool_call_id": call["id"], "content": "r"}]
    await sdk.chat.completions.create(model=MODEL, messages=messages, tools=tools)
    blocks = [block for message in upstream.requests[-1].body["messages"] for block in message["content"]]
    uses = [block["input"] for block in blocks if isinstance(block, dict) and block["type"] == "tool_use"]
    assert uses == [given]
