"""Base URLs that contain too much: the error says so, in the envelope of the API that was meant."""

from __future__ import annotations

import pytest

from claude_max_proxy.server.base_urls import Routes
from tests.server.conftest import Served


WRONG = [
    ("/v1/v1/chat/completions", "/chat/completions", "/v1", "/v1/v1"),
    ("/v1/chat/completions/chat/completions", "/chat/completions", "/v1", "/v1/chat/completions"),
    ("/v1/v1/models", "/models", "/v1", "/v1/v1"),
    ("/v1/v1/messages", "/v1/messages", "", "/v1"),
    ("/v1/messages/v1/messages", "/v1/messages", "", "/v1/messages"),
    ("/v1/messages/v1/messages/count_tokens", "/v1/messages/count_tokens", "", "/v1/messages"),
]


@pytest.mark.parametrize("path", [path for path, *_ in WRONG])
async def test_what_is_wrong_is_told(path: str, served: Served) -> None:
    """The error says what the client appends by itself, so that the user can correct the base URL."""
    response = await served.http.post(path, json={})
    assert response.status_code == 404
    error = response.json()["error"]
    assert "base URL" in error["message"]
    assert error["code"] == "route_not_found"
    assert ("type" in response.json()) == ("messages" in path), "each API has an envelope of its own"


@pytest.mark.parametrize(
    "path", ["/v2/chat", "/v1/other", "/api/v1/chat/completions", "/v1/v1", "/" + "v1/" * 300]
)
async def test_other_paths(path: str, served: Served) -> None:
    """For a path that belongs to no route, the error says just that."""
    response = await served.http.post(path, json={})
    assert response.status_code == 404
    assert "base URL" not in response.json()["error"]["message"]


def test_parameters() -> None:
    """Routes with parameters are recognised, too."""
    routes = Routes(["/v1/things", "/v1/things/{id:str}", "/v1/models/{name:path}", "/things"])
    assert routes.misplaced("/v1/things/7") is None
    for path in ("/v1/v1/things/7", "/v1/v1/models/a/b"):
        found = routes.misplaced(path)
        assert found is not None
        assert found.base == "/v1"


def test_it_takes_no_time() -> None:
    """However many ways there are to split a path, none is looked up twice."""
    routes = Routes(["/v1/chat/completions", "/chat/completions", "/completions", "/chat"])
    path = "/chat/completions" * 28
    assert routes.misplaced(f"{path}/other") is None
    assert routes.misplaced(path) is not None
