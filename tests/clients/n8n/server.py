"""The workflows of n8n, made from the one that its page shows, and the server that runs them."""

from __future__ import annotations

import asyncio
import copy
import json
from typing import Any
from weakref import WeakKeyDictionary

import httpx

from tests.clients.expecting import fine, same
from tests.clients.serving import free_port, serve
from tests.clients.stage import Stage


PERSON_SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
    }
)
_ENVIRONMENT = {
    "N8N_DIAGNOSTICS_ENABLED": "false",
    "N8N_VERSION_NOTIFICATIONS_ENABLED": "false",
    "N8N_TEMPLATES_ENABLED": "false",
    "N8N_PERSONALIZATION_ENABLED": "false",
    "N8N_COMMUNITY_PACKAGES_ENABLED": "false",
    "N8N_LISTEN_ADDRESS": "127.0.0.1",
    "N8N_ENCRYPTION_KEY": "a key for this test alone, no secret",
    "N8N_RUNNERS_BROKER_LISTEN_ADDRESS": "127.0.0.1",
}
_PATIENCE = 60.0
_PAUSE = 0.2
_LOOKS = 300
_servers: WeakKeyDictionary[Stage, str] = WeakKeyDictionary()


async def ask(
    stage: Stage, workflow: str, text: str, session: str = "one", files: dict[str, Any] | None = None
) -> httpx.Response:
    """Say something in the chat of a workflow, as n8n's chat window does."""
    url = f"{await _server(stage)}/webhook/{workflow}/chat"
    said = {"action": "sendMessage", "sessionId": session, "chatInput": text}
    async with httpx.AsyncClient(trust_env=False, timeout=_PATIENCE) as http:
        if files:
            response = await http.post(url, data=said, files=files)
        else:
            response = await http.post(url, json=said)
    stage.said += [f"{workflow}: {text}", response.text]
    return response


def pieces(response: httpx.Response) -> list[str]:
    """Return the pieces of a streamed answer."""
    lines = [json.loads(line) for line in response.text.splitlines() if line]
    return [line["content"] for line in lines if line["type"] == "item" and "content" in line]


def answer(response: httpx.Response) -> Any:
    """Return the output of a workflow that answers when it has ended."""
    same(response.status_code, 200, "the status")
    return response.json()["output"]


async def _server(stage: Stage) -> str:
    if stage not in _servers:
        port = free_port()
        _servers[stage] = url = f"http://127.0.0.1:{port}"
        ports = {"N8N_PORT": str(port), "N8N_RUNNERS_BROKER_PORT": str(free_port())}
        environment = {**_ENVIRONMENT, **ports, "N8N_USER_FOLDER": str(stage.home)}
        names = await _import(stage, environment)
        await serve(stage, f"{url}/healthz/readiness", "n8n", "start", **environment)
        for name in names:
            await _is_open(f"{url}/webhook/{name}/chat")
    return _servers[stage]


async def _is_open(url: str) -> None:
    """Wait until a workflow's chat is open: n8n opens one after the other when it is ready already."""
    opens = {"action": "loadPreviousSession", "sessionId": "nobody"}
    async with httpx.AsyncClient(trust_env=False, timeout=_PATIENCE) as http:
        for _ in range(_LOOKS):
            if (await http.post(url, json=opens)).is_success:
                return
            await asyncio.sleep(_PAUSE)
    raise AssertionError(f"{url} did not open")


async def _import(stage: Stage, environment: dict[str, Any]) -> list[str]:
    """Let n8n have all workflows, and return their names."""
    base = json.loads((stage.work / "chat.json").read_text("utf-8"))
    folder = stage.work / "workflows"
    folder.mkdir()
    workflows = _workflows(base)
    for name, workflow in workflows.items():
        (folder / f"{name}.json").write_text(json.dumps(workflow), "utf-8")
    fine(await stage.run("n8n", "import:credentials", "--input=credentials.json", **environment))
    fine(await stage.run("n8n", "import:workflow", "--separate", f"--input={folder}", **environment))
    for name in workflows:
        fine(await stage.run("n8n", "publish:workflow", f"--id={name}", **environment))
    return list(workflows)


def _workflows(base: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Make a workflow for each thing that is checked."""
    made = {"chat": base}
    for name, responses in (("whole", False), ("responses", True)):
        made[name] = _named(base, name)
        _node(made[name], "Model")["parameters"]["responsesApiEnabled"] = responses
        _node(made[name], "Chat")["parameters"]["options"]["responseMode"] = "lastNode"
    for name in ("whole", "responses"):
        made[f"{name}-structured"] = _with_parser(made[name], f"{name}-structured")
    made["message"] = _with_openai_node(base, "message", _MESSAGE)
    made["analyze"] = _with_openai_node(base, "analyze", _ANALYZE)
    return made


def _named(base: dict[str, Any], name: str) -> dict[str, Any]:
    workflow = copy.deepcopy(base) | {"id": name, "name": name}
    _node(workflow, "Chat")["webhookId"] = name
    return workflow


def _node(workflow: dict[str, Any], name: str) -> dict[str, Any]:
    return next(node for node in workflow["nodes"] if node["name"] == name)


def _with_parser(base: dict[str, Any], name: str) -> dict[str, Any]:
    workflow = _named(base, name)
    _node(workflow, "Agent")["parameters"]["hasOutputParser"] = True
    workflow["nodes"].append(
        {
            "id": "7",
            "name": "Parser",
            "position": [500, 200],
            "type": "@n8n/n8n-nodes-langchain.outputParserStructured",
            "typeVersion": 1.3,
            "parameters": {"schemaType": "manual", "inputSchema": PERSON_SCHEMA},
        }
    )
    connection = {"node": "Agent", "type": "ai_outputParser", "index": 0}
    workflow["connections"]["Parser"] = {"ai_outputParser": [[connection]]}
    return workflow


def _with_openai_node(base: dict[str, Any], name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    workflow = _named(base, name)
    trigger, model = _node(workflow, "Chat"), _node(workflow, "Model")
    trigger["parameters"]["options"]["responseMode"] = "lastNode"
    node = {
        "id": "8",
        "name": "OpenAI",
        "position": [200, 0],
        "type": "@n8n/n8n-nodes-langchain.openAi",
        "typeVersion": 2.3,
        "parameters": {"modelId": model["parameters"]["model"], **parameters},
        "credentials": model["credentials"],
    }
    shown = {
        "id": "9",
        "name": "Show",
        "position": [400, 0],
        "type": "n8n-nodes-base.set",
        "typeVersion": 3.4,
        "parameters": {
            "assignments": {
                "assignments": [
                    {"id": "1", "name": "output", "value": _ANSWER, "type": "string"},
                ]
            }
        },
    }
    workflow["nodes"] = [trigger, node, shown]
    workflow["connections"] = {
        "Chat": {"main": [[{"node": "OpenAI", "type": "main", "index": 0}]]},
        "OpenAI": {"main": [[{"node": "Show", "type": "main", "index": 0}]]},
    }
    return workflow


_ANSWER = "={{ $json.output[0].content[0].text }}"
_MESSAGE = {
    "resource": "text",
    "operation": "response",
    "responses": {"values": [{"role": "user", "content": "={{ $json.chatInput }}"}]},
}
_ANALYZE = {
    "resource": "image",
    "operation": "analyze",
    "text": "={{ $json.chatInput }}",
    "inputType": "base64",
    "binaryPropertyName": "data0",
}
