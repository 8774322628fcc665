"""The routes, and the answers to requests that fit none."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from openai.types import Model
from openai.types.chat import ChatCompletion

from claude_max_proxy import __version__
from tests.server.conftest import Serve, Served
from tests.server.exchange import chat


CHAT = {"model": "sonnet", "messages": [{"role": "user", "content": "hi"}]}


def error_of(response: httpx.Response) -> dict[str, Any]:
    """Return the envelope of a failure, once its form has been checked."""
    assert response.headers["content-type"] == "application/json"
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    return error


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/chat/completions"])
async def test_chat(served: Served, path: str) -> None:
    """A chat is answered, with and without ``/v1``."""
    response = await served.http.post(path, json=CHAT, headers={"user-agent": "tester/1"})
    assert response.status_code == 200
    answer = ChatCompletion.model_validate(response.json())
    assert answer.choices[0].message.content == "Hello!"
    assert answer.model == "sonnet"
    request, model = served.backend.asked[0]
    assert (model, request.client.program, request.client.key) == ("sonnet", "tester/1", "")
    assert response.headers["x-request-id"]


@pytest.mark.parametrize("prefix", ["", "/v1"])
async def test_the_models(serve: Serve, prefix: str) -> None:
    """Every name is listed with what is known about it; patterns are not listed."""
    served = await serve(models={"gpt-4o": "claude/opus", "gpt-*": "claude/sonnet"})
    answer = (await served.http.get(f"{prefix}/models")).json()
    assert answer["object"] == "list"
    rows = {row["id"]: row for row in answer["data"]}
    for row in rows.values():
        Model.model_validate(row)
    assert {"gpt-4o", "claude-opus-4", "claude-code-cli/claude-opus-4"} <= set(rows)
    assert "gpt-*" not in rows
    assert rows["gpt-4o"] == {
        "id": "gpt-4o",
        "object": "model",
        "created": rows["gpt-4o"]["created"],
        "owned_by": "claude",
        "upstream_model": "scripted-opus",
        "context_window": 200_000,
        "max_output_tokens": 32_000,
        "input_modalities": ["text", "image"],
        "output_modalities": ["text"],
        "reasoning": True,
        "reasoning_efforts": ["low"],
    }


@pytest.mark.parametrize("prefix", ["", "/v1"])
@pytest.mark.parametrize(
    ("name", "upstream"),
    [
        ("opus", "scripted-opus"),
        ("claude-code-cli/claude-opus-4", "scripted-opus"),
        ("claude-opus-4-1", "scripted-claude-opus-4-1"),
    ],
)
async def test_one_model(served: Served, prefix: str, name: str, upstream: str) -> None:
    """Each model has a route, even if its name contains slashes or is only matched by a pattern."""
    row = (await served.http.get(f"{prefix}/models/{name}")).json()
    assert (row["id"], row["upstream_model"]) == (name, upstream)


async def test_a_model_that_is_not_there(served: Served) -> None:
    """An unknown model is a 404 in the API's envelope."""
    response = await served.http.get("/v1/models/gpt-4o")
    assert response.status_code == 404
    assert error_of(response)["code"] == "model_not_found"


@pytest.mark.parametrize("path", ["/health", "/v1/health"])
@pytest.mark.parametrize(("status", "code"), [("ok", 200), ("degraded", 200), ("unavailable", 503)])
async def test_health(serve: Serve, path: str, status: str, code: int) -> None:
    """Health is 200 while requests can be answered, with the state of each backend."""
    served = await serve(backends={"claude": {"type": "scripted", "status": status}})
    response = await served.http.get(path)
    assert response.status_code == code
    assert response.json() == {
        "status": status,
        "provider": "claude-max-proxy",
        "version": __version__,
        "backends": {"claude": {"status": status}},
    }


@pytest.mark.parametrize("path", ["/v", "/v1", "/v1/chat/completion", "/docs", "/schema"])
async def test_no_such_route(served: Served, path: str) -> None:
    """An unknown path is a 404 in the API's envelope that repeats the path."""
    response = await served.http.post(path, json=CHAT)
    assert response.status_code == 404
    error = error_of(response)
    assert (error["type"], error["code"]) == ("not_found_error", "route_not_found")
    assert path in error["message"]


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/chat/completions"), ("POST", "/v1/models")])
async def test_another_method(served: Served, method: str, path: str) -> None:
    """A method that a route does not have is a 405 that says so."""
    response = await served.http.request(method, path)
    assert response.status_code == 405
    assert error_of(response)["code"] == "method_not_allowed"


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_body_that_is_too_large(serve: Serve, streamed: bool) -> None:
    """A body over the limit is a 413, whether its length is declared or found out."""
    served = await serve(server={"max_body_bytes": 1000})
    body = chat(user="x" * 2000)

    async def pieces() -> Any:
        yield body

    response = await served.http.post(
        "/v1/chat/completions",
        content=pieces() if streamed else body,
        headers={"content-type": "application/json"},
    )
    assert response.status_code == 413
    assert error_of(response)["code"] == "body_too_large"
    assert served.backend.asked == []


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_a_body_that_is_not_json(served: Served, kind: str) -> None:
    """A body that is not declared as JSON, for example a web page's form, is a 415."""
    response = await served.http.post("/v1/chat/completions", content=chat(), headers={"content-type": kind})
    assert response.status_code == 415
    assert error_of(response)["code"] == "unsupported_media_type"


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON"])
async def test_ways_to_say_json(served: Served, kind: str) -> None:
    """The content type may have parameters and any case."""
    response = await served.http.post("/v1/chat/completions", json=CHAT, headers={"content-type": kind})
    assert response.status_code == 200


async def test_no_content_type(served: Served) -> None:
    """A body without a content type is read as JSON."""
    response = await served.http.post("/v1/chat/completions", content=chat(stream=False))
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        (b"", None, "invalid_json"),
        (b'{"model":"\xff"}', None, "invalid_json"),
        (b'{"x":' + b"[" * 100_000, "x[0][0][0]", "invalid_json"),
        (chat(logprobs=True), "logprobs", "unsupported_parameter"),
        (chat(messages=[]), "messages", "invalid_request"),
    ],
)
async def test_a_bad_body(served: Served, body: bytes, param: str | None, code: str) -> None:
    """A bad body is a 400 that names its field, also if a stream was asked for."""
    response = await served.http.post(
        "/v1/chat/completions", content=body, headers={"content-type": "application/json"}
    )
    assert response.status_code == 400
    error = error_of(response)
    assert (error["param"], error["code"]) == (param, code)


@pytest.mark.parametrize(
    ("states", "status", "code"),
    [
        (["ok"], "ok", 200),
        (["ok", "unavailable"], "degraded", 200),
        (["degraded"], "degraded", 200),
        (["starting", "unavailable"], "starting", 503),
        (["unavailable"], "unavailable", 503),
    ],
)
async def test_probes(serve: Serve, states: list[str], status: str, code: int) -> None:
    """A load balancer learns whether any backend can answer; that the proxy lives does not depend on it."""
    names = ["claude", "other"][: len(states)]
    served = await serve(
        server={"api_keys": {"me": "secret"}}, backends={name: {"type": "scripted"} for name in names[1:]}
    )
    for name, state in zip(names, states, strict=True):
        served.runtime.backends[name].health = lambda state=state: {"status": state}
    ready = await served.http.get("/health/ready")
    assert (ready.status_code, ready.json()) == (code, {"status": status})
    assert (await served.http.get("/health/live")).json() == {"status": "ok"}
    served.runtime.stopping = True
    assert (await served.http.get("/health/ready")).json() == {"status": "stopping"}
