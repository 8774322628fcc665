"""Every route that accepts a request performs the same steps; and HEAD is GET without a body."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from claude_max_proxy.config import load
from claude_max_proxy.runtime.runtime import Runtime
from claude_max_proxy.server.app import build_app
from claude_max_proxy.testing import ScriptedUpstream
from tests.server.conftest import Serve, Served


CHAT = {"model": "claude-sonnet-4", "messages": [{"role": "user", "content": "hi"}]}
ROUTES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": CHAT,
    "/v1/responses": {"model": "claude-sonnet-4", "input": "hi"},
    "/v1/completions": {"model": "claude-sonnet-4", "prompt": "hi"},
    "/v1/messages": {**CHAT, "max_tokens": 9},
    "/v1/messages/count_tokens": CHAT,
    "/v1/embeddings": {"model": "claude-sonnet-4", "input": "hi"},
}
KEYS = {"api_keys": {"a": {"key": "secret", "models": ["claude-sonnet-*"], "requests_per_minute": 1}}}


@pytest.mark.parametrize("route", ROUTES)
async def test_keys_hold_everywhere(route: str, serve: Serve) -> None:
    """No route bypasses the limits of a key: which models it may ask for, and how often."""
    served = await serve(server=KEYS)
    headers = {"authorization": "Bearer secret"}
    other = await served.http.post(route, json={**ROUTES[route], "model": "claude-opus-4"}, headers=headers)
    assert (other.status_code, other.json()["error"]["code"]) == (404, "model_not_found")
    await served.http.post(route, json=ROUTES[route], headers=headers)
    again = await served.http.post(route, json=ROUTES[route], headers=headers)
    assert again.status_code == 429


async def test_headers_reach_a_count(tmp_path: Path) -> None:
    """What a client asks for in headers is applied to counts as well as to answers."""
    async with ScriptedUpstream() as upstream:
        config = tmp_path / "proxy.toml"
        config.write_text(
            '[models]\n"m" = "api/claude-sonnet-4-5"\n[backends.api]\ntype = "anthropic"\napi_key = "x"\n'
            f'base_url = "{upstream.url}"\n[plugins]\npaths = []\n'
        )
        runtime = Runtime(load(config))
        await runtime.start()
        transport = httpx.ASGITransport(build_app(runtime), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            for route in ("/v1/messages", "/v1/messages/count_tokens"):
                body = {**CHAT, "model": "m", "max_tokens": 9}
                response = await client.post(
                    route, json=body, headers={"anthropic-beta": "one-2026, two-2026"}
                )
                assert response.status_code == 200, response.text
        await runtime.stop()
    asked = [*upstream.requests, *upstream.counts]
    assert [request.headers["anthropic-beta"] for request in asked] == ["one-2026,two-2026"] * 2


@pytest.mark.parametrize(
    "path", ["/health", "/v1/models", "/v1/models/claude-sonnet-4", "/openapi.json", "/v1/models/none"]
)
async def test_head(path: str, served: Served) -> None:
    """HEAD answers as GET does, with no body."""
    got, headed = await served.http.get(path), await served.http.head(path)
    assert headed.status_code == got.status_code
    assert headed.content == b""
    for name in ("content-type", "content-length"):
        assert headed.headers.get(name) == got.headers.get(name)


async def test_head_where_there_is_no_get(served: Served) -> None:
    """A route that has only POST says so."""
    response = await served.http.head("/v1/chat/completions")
    assert response.status_code == 405
    allowed = (await served.http.post("/v1/models", json={})).headers["allow"]
    assert {"GET", "HEAD"} <= {method.strip() for method in allowed.split(",")}


async def test_a_client_that_leaves_while_it_asks(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """A client that disconnects is no failure, and the log contains no traceback of it."""
    heard = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(heard)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")]
    path = {"path": "/v1/chat/completions", "raw_path": b"", "query_string": b"", "root_path": ""}
    scope = {"type": "http", "method": "POST", "http_version": "1.1", "headers": headers, **path}
    await served.application({**scope, "client": ("127.0.0.1", 1), "state": {}}, receive, send)
    assert sent[0]["status"] == 400
    assert not caplog.records
