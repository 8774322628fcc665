"""Web pages: those of ``allowed_origins`` may send requests, with CORS headers, and no others."""

from __future__ import annotations

import httpx
import pytest

from claude_max_proxy import ConfigError
from claude_max_proxy.config import ServerConfig
from claude_max_proxy.errors import Overloaded
from claude_max_proxy.server.guards import check_reach
from tests.server.conftest import Serve
from tests.server.test_routes import CHAT


APP = "https://app.example"
OPEN = {"allowed_origins": [APP, "http://localhost:8080"]}


async def preflight(http: httpx.AsyncClient, origin: str, method: str = "POST") -> httpx.Response:
    """Return a preflight request, which a browser sends before a page's request."""
    headers = {
        "origin": origin,
        "access-control-request-method": method,
        "access-control-request-headers": "authorization,content-type,x-stainless-lang",
    }
    return await http.options("/v1/chat/completions", headers=headers)


@pytest.mark.parametrize("origin", OPEN["allowed_origins"])
async def test_a_page_that_may_ask(serve: Serve, origin: str) -> None:
    """A page of an allowed origin is answered, and its browser may show it the answer."""
    served = await serve(server=OPEN)
    response = await served.http.post("/v1/chat/completions", json=CHAT, headers={"origin": origin})
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == origin
    assert "x-request-id" in response.headers["access-control-expose-headers"]
    assert response.headers["vary"] == "Origin"


async def test_a_preflight(serve: Serve) -> None:
    """A preflight request is answered with what the OpenAI library in a browser needs, without a key."""
    served = await serve(server={**OPEN, "api_keys": {"me": "secret"}})
    response = await preflight(served.http, APP)
    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == APP
    assert "POST" in response.headers["access-control-allow-methods"]
    allowed = response.headers["access-control-allow-headers"].lower()
    for name in ("authorization", "content-type", "x-stainless-lang"):
        assert name in allowed
    assert "access-control-allow-credentials" not in response.headers


@pytest.mark.parametrize("stream", [True, False])
async def test_a_failure_can_be_read(serve: Serve, stream: bool) -> None:
    """A page may read why it was refused, also when to come back."""
    served = await serve(server=OPEN)
    served.backend.script = [Overloaded("no", retry_after=3)]
    body = {**CHAT, "stream": stream}
    response = await served.http.post("/v1/chat/completions", json=body, headers={"origin": APP})
    assert (response.status_code, response.headers["access-control-allow-origin"]) == (503, APP)
    assert "retry-after" in response.headers["access-control-expose-headers"]
    missing = await served.http.post("/nowhere", json=CHAT, headers={"origin": APP})
    assert (missing.status_code, missing.headers["access-control-allow-origin"]) == (404, APP)


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "https://app.example.evil.example",
        "http://app.example",
        f"{APP}:444",
        "null",
        "",
    ],
)
async def test_a_page_that_may_not(serve: Serve, origin: str) -> None:
    """Any other page is refused, at the preflight and at the request, and no work is done for it."""
    served = await serve(server=OPEN)
    response = await served.http.post("/v1/chat/completions", json=CHAT, headers={"origin": origin})
    assert response.status_code == 403
    assert "access-control-allow-origin" not in response.headers
    before = await preflight(served.http, origin)
    assert before.status_code >= 400
    assert "access-control-allow-origin" not in before.headers
    assert served.backend.asked == []


async def test_without_origins(serve: Serve) -> None:
    """If no origin is allowed, a preflight request reveals nothing."""
    served = await serve()
    before = await preflight(served.http, APP)
    assert "access-control-allow-origin" not in before.headers


@pytest.mark.parametrize("origin", ["*", "https://*.example"])
def test_no_patterns(origin: str) -> None:
    """Origins are listed one by one: a pattern would let in pages that were not meant."""
    with pytest.raises(ConfigError, match=r"^server\.allowed_origins: .*is not an origin; list each"):
        check_reach(ServerConfig(allowed_origins=[origin]))
