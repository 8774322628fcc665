"""Flowise's server, with a flow made from one of its own templates by its REST API."""

from __future__ import annotations

import json
from typing import Any
from weakref import WeakKeyDictionary

import httpx

from tests.clients.expecting import holds
from tests.clients.serving import free_port, serve
from tests.clients.stage import Stage


_ENVIRONMENT: dict[str, Any] = {
    "DISABLE_FLOWISE_TELEMETRY": "true",
    "HOST": "127.0.0.1",
}
_PATIENCE = 60.0
_ACCOUNT = {"email": "ada@example.org", "password": "Only-4-this-test!"}
_TEMPLATES = "node_modules/flowise/marketplaces"
_servers: WeakKeyDictionary[Stage, Server] = WeakKeyDictionary()


class Server:
    """A running server with an account and an agent."""

    def __init__(self, http: httpx.AsyncClient, flow: str) -> None:
        """Ask the server at `http`; `flow` is the id of the agent's flow."""
        self._http = http
        self._flow = flow

    async def ask(self, stage: Stage, question: str, session: str, **more: Any) -> httpx.Response:
        """Ask the agent by the prediction API."""
        body = {"question": question, "overrideConfig": {"sessionId": session}, **more}
        response = await self._http.post(f"/api/v1/prediction/{self._flow}", json=body)
        stage.said += [question, f"{response.status_code} {response.text}"]
        return response


async def server(stage: Stage) -> Server:
    """Return the server of a stage; the first time, start it and make its flow."""
    if stage not in _servers:
        http = await _started(stage)
        account = {"name": "Ada", "email": _ACCOUNT["email"], "credential": _ACCOUNT["password"]}
        await _made(http, "account/register", {"user": account})
        await _made(http, "auth/login", _ACCOUNT)
        key = {"name": "Claude", "credentialName": "openAIApi", "plainDataObj": {"openAIApiKey": "unused"}}
        credential = (await _made(http, "credentials", key))["id"]
        data = json.dumps(_agent(stage, credential))
        flow = {"name": "Agent", "type": "CHATFLOW", "flowData": data, "deployed": True, "isPublic": True}
        _servers[stage] = Server(http, (await _made(http, "chatflows", flow))["id"])
    return _servers[stage]


async def _started(stage: Stage) -> httpx.AsyncClient:
    url = f"http://127.0.0.1:{(port := free_port())}"
    folder = str(stage.home / "flowise")
    folders = dict.fromkeys(("DATABASE_PATH", "SECRETKEY_PATH", "LOG_PATH", "BLOB_STORAGE_PATH"), folder)
    environment = {**_ENVIRONMENT, **folders, "PORT": str(port)}
    await serve(stage, f"{url}/api/v1/ping", "flowise", "start", **environment)
    http = httpx.AsyncClient(base_url=url, trust_env=False, timeout=_PATIENCE)
    http.headers["x-request-from"] = "internal"
    return await stage.until_end.enter_async_context(http)


async def _made(http: httpx.AsyncClient, what: str, body: dict[str, Any]) -> Any:
    response = await http.post(f"/api/v1/{what}", json=body)
    holds(response.is_success, f"{what}: {response.status_code} {response.text}")
    return response.json()


def _agent(stage: Stage, credential: str) -> dict[str, Any]:
    """Return the template of an agent with tools and memory, with the proxy's model and without a search."""
    model = json.loads((stage.work / "chat-openai.json").read_text("utf-8"))
    agent = _template(stage, "chatflows/Tool Agent")
    agent["nodes"] = [node for node in agent["nodes"] if node["data"]["name"] != "serpAPI"]
    agent["edges"] = [edge for edge in agent["edges"] if edge["source"] != "serpAPI_0"]
    inputs = _inputs(agent, "toolAgent")
    inputs["tools"] = [tool for tool in inputs["tools"] if "serpAPI" not in tool]
    _inputs(agent, "chatOpenAI").update(model)
    node = next(node["data"] for node in agent["nodes"] if node["data"]["name"] == "chatOpenAI")
    node["credential"] = credential
    return agent


def _template(stage: Stage, name: str) -> dict[str, Any]:
    path = stage.installed.folder / _TEMPLATES / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return {"nodes": found["nodes"], "edges": found["edges"]}


def _inputs(flow: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(
        node["data"]["inputs"] for node in flow["nodes"] if node["data"]["name"] == name
    )
    return found
