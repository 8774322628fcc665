"""The Responses API's routes: statuses, envelopes, keys, and what survives a reload."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.openai_schema import check, check_event
from tests.server.conftest import Serve, Served
from tests.server.live_proxy import TOML, LiveProxy


async def ask(http: httpx.AsyncClient, given: Any = "hi", **fields: Any) -> httpx.Response:
    """Ask for a response."""
    key = fields.pop("key", "")
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return await http.post("/v1/responses", json={"model": "opus", "input": given, **fields}, headers=headers)


@pytest.mark.parametrize("prefix", ["/v1", ""])
async def test_a_response_and_what_became_of_it(prefix: str, served: Served) -> None:
    """A response can be retrieved until it is deleted, on every route with and without ``/v1``."""
    given = (await served.http.post(f"{prefix}/responses", json={"model": "opus", "input": "hi"})).json()
    check("Response", given)
    route = f"{prefix}/responses/{given['id']}"
    assert (await served.http.get(route)).json() == given
    items = (await served.http.get(f"{route}/input_items", params={"limit": 1})).json()
    check("ResponseItemList", items)
    deleted = await served.http.delete(route)
    assert (deleted.status_code, deleted.json()["deleted"]) == (200, True)
    for again in (await served.http.get(route), await served.http.delete(route)):
        assert again.status_code == 404
        check("ErrorResponse", again.json())
        assert again.json()["error"]["code"] == "response_not_found"
        assert again.headers["content-type"] == "application/json"


async def test_a_stream(served: Served) -> None:
    """A streamed response is events, each as OpenAI describes it."""
    async with served.http.stream(
        "POST", "/v1/responses", json={"model": "opus", "input": "hi", "stream": True}
    ) as response:
        lines = [line async for line in response.aiter_lines()]
    assert response.headers["content-type"].startswith("text/event-stream")
    datas = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    events = [httpx.Response(200, content=data).json() for data in datas]
    for event in events:
        check_event(event)
    assert events[-1]["type"] == "response.completed"


async def test_going_on(served: Served) -> None:
    """A response's id refers to its conversation; an unknown id is refused."""
    first = (await ask(served.http, "one")).json()
    second = await ask(served.http, "two", previous_response_id=first["id"])
    assert second.status_code == 200
    assert len(served.backend.asked[-1][0].messages) == 3
    third = await ask(served.http, "three", previous_response_id="resp_none")
    assert third.status_code == 400
    assert third.json()["error"]["code"] == "previous_response_not_found"


async def test_each_key_has_its_own(serve: Serve) -> None:
    """With API keys, a response that one key stored cannot be retrieved with another, nor without one."""
    served = await serve(server={"api_keys": {"me": "key-of-me", "you": "key-of-you"}})
    id_ = (await ask(served.http, key="key-of-me")).json()["id"]

    async def status(key: str) -> int:
        headers = {"authorization": f"Bearer {key}"}
        return (await served.http.get(f"/v1/responses/{id_}", headers=headers)).status_code

    assert [await status(key) for key in ("key-of-me", "key-of-you", "nobody's")] == [200, 404, 401]
    assert (await ask(served.http, previous_response_id=id_, key="key-of-you")).status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/responses", 405),
        ("POST", "/v1/responses/resp_1", 405),
        ("GET", "/v1/responses/resp_1/else", 404),
        ("GET", "/v1/responses/resp_1/input_items/else", 404),
        ("POST", "/v1/responses/resp_1/cancel", 404),
    ],
)
async def test_where_nothing_is(method: str, path: str, status: int, served: Served) -> None:
    """Errors on paths below the route have OpenAI's envelope, too."""
    response = await served.http.request(method, path, json={})
    assert response.status_code == status
    check("ErrorResponse", response.json())


async def test_the_settings(serve: Serve) -> None:
    """Storing can be switched off, and a client that asks for it is told."""
    served = await serve(plugins={"openai_responses": {"store": False}})
    response = await ask(served.http, store=True)
    assert response.headers["x-proxy-ignored"] == "store"
    assert response.json()["store"] is False
    assert (await served.http.get(f"/v1/responses/{response.json()['id']}")).status_code == 404


async def test_models_and_errors(served: Served) -> None:
    """The model list and the errors of other routes fit OpenAI's schema."""
    listed = (await served.http.get("/v1/models")).json()
    check("ListModelsResponse", listed)
    check("Model", (await served.http.get("/v1/models/opus")).json())
    for path in ("/v1/models/none", "/nowhere"):
        check("ErrorResponse", (await served.http.get(path)).json())


PLUGIN = """
import json
from claude_max_proxy import Client, NotFound, Request, hookimpl
from claude_max_proxy.dialect import Dialect, Exchange
from claude_max_proxy.route import Route

def say(call):
    if call.parameters["id"] == "none":
        raise NotFound("there is none")
    heard = [call.parameters["id"], call.query["q"], call.client.program, len(call.body)]
    return json.dumps(heard).encode()

class More(Dialect):
    name, routes = "more", ("/v1/more",)
    further_routes = (Route("POST", "/v1/other/{id}", say, "Says what it heard"),)
    def open(self, body): return Exchange(Request("sonnet"), None)
    def error(self, error): return b'{"oh": "%b"}' % error.message.encode()

@hookimpl
def register_dialects(register):
    register(More())
"""


async def test_a_plugins_further_routes(serve: Serve) -> None:
    """A plugin's dialect may have further routes, which get the whole request and fail in its envelope."""
    served = await serve(sources={"more": PLUGIN})

    async def post(path: str) -> httpx.Response:
        return await served.http.post(path, json={}, headers={"user-agent": "me"})

    said = await post("/v1/other/a%20b?q=1")
    assert (said.status_code, said.json()) == (200, ["a b", "1", "me", 2])
    for path, status in (("/v1/other/none?q=1", 404), ("/v1/other/a/b", 404), ("/v1/more/a", 404)):
        failed = await post(path)
        assert failed.status_code == status
        assert failed.json().keys() == {"oh"}
    described = (await served.http.get("/openapi.json")).json()["paths"]["/v1/other/{id}"]["post"]
    assert described["summary"] == "Says what it heard"


async def test_a_reload_forgets_nothing(tmp_path: Path) -> None:
    """Stored responses survive a reload, also when the settings of the store changed."""
    async with LiveProxy(tmp_path).serving() as proxy:
        given = (await proxy.http.post("/v1/responses", json={"model": "echo", "input": "one"})).json()
        proxy.write(TOML + "[plugins.openai_responses]\nstore_limit = 7\n")
        await proxy.changed()
        assert (await proxy.http.get(f"/v1/responses/{given['id']}")).json() == given
        more = {"model": "echo", "input": "two", "previous_response_id": given["id"]}
        assert (await proxy.http.post("/v1/responses", json=more)).status_code == 200
