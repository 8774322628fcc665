"""Counting tokens, and what else the server does only for the Messages API."""

from __future__ import annotations

from typing import Any

import pytest

from claude_max_proxy import Request
from claude_max_proxy.errors import BackendUnavailable, Overloaded
from tests.server.conftest import Serve, Served


ASK: dict[str, Any] = {"model": "sonnet", "messages": [{"role": "user", "content": "word " * 700}]}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}


@pytest.mark.parametrize("path", ["/v1/messages/count_tokens?beta=true", "/messages/count_tokens"])
async def test_an_estimate(served: Served, path: str) -> None:
    """If the backend cannot count, the answer is an estimate that says so."""
    response = await served.http.post(path, json=ASK)
    assert response.status_code == 200
    assert 1000 < response.json()["input_tokens"] < 1020
    assert response.headers["x-proxy-estimated"] == "true"


async def test_a_count(served: Served) -> None:
    """A backend that counts is asked, with the upstream's name of the model."""
    asked = []

    async def count_tokens(request: Request, model: str) -> int:
        asked.append((request.messages[0].role, model))
        return 7

    served.backend.count_tokens = count_tokens
    response = await served.http.post("/v1/messages/count_tokens", json=ASK)
    assert (response.json(), asked) == ({"input_tokens": 7}, [("user", "sonnet")])
    assert "x-proxy-estimated" not in response.headers


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
async def test_tools_of_anthropics(served: Served, path: str) -> None:
    """A tool that Anthropic's servers run is refused by its path if they are not asked, in counts as well."""
    response = await served.http.post(path, json=ASK | {"tools": [SEARCH], "max_tokens": 9})
    error = response.json()
    assert (response.status_code, error["type"]) == (400, "error")
    assert error["error"]["param"] == "tools[0]"


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
async def test_a_wrong_body(served: Served, path: str) -> None:
    """A wrong body is refused in the API's own envelope, by the path of the field."""
    response = await served.http.post(path, json={"model": "sonnet", "messages": 7, "max_tokens": 1})
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"
    assert response.json()["error"]["param"] == "messages"


async def test_a_count_that_fails(served: Served) -> None:
    """A count fails as an answer does, also for an unknown model."""

    async def count_tokens(request: Request, model: str) -> int:
        raise BackendUnavailable("gone")

    served.backend.count_tokens = count_tokens
    response = await served.http.post("/v1/messages/count_tokens", json=ASK)
    assert (response.status_code, response.json()["error"]["message"]) == (503, "gone")
    response = await served.http.post("/v1/messages/count_tokens", json=ASK | {"model": "no"})
    assert (response.status_code, response.json()["error"]["type"]) == (404, "not_found_error")


@pytest.mark.parametrize("stream", [False, True])
async def test_an_overload(served: Served, stream: bool) -> None:
    """An overload has the API's own status, and answers have the API's own header."""
    served.backend.script = [Overloaded("busy")]
    response = await served.http.post("/v1/messages", json=ASK | {"max_tokens": 9, "stream": stream})
    assert (response.status_code, response.json()["error"]["type"]) == (529, "overloaded_error")
    assert response.headers["request-id"] == response.headers["x-request-id"]


async def test_keys(serve: Serve) -> None:
    """A count needs a key as an answer does, in the header that Anthropic's clients send."""
    served = await serve(server={"api_keys": {"me": "secret-of-mine"}})
    response = await served.http.post("/v1/messages/count_tokens", json=ASK)
    assert (response.status_code, response.json()["error"]["type"]) == (401, "authentication_error")
    headers = {"x-api-key": "secret-of-mine"}
    assert (await served.http.post("/v1/messages/count_tokens", json=ASK, headers=headers)).status_code == 200
