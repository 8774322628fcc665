"""The check of an API over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import respx

from claude_max_proxy.backends import anthropic_api, openai_api
from claude_max_proxy.config import parse
from claude_max_proxy.http_upstream import HttpSettings, HttpUpstream
from claude_max_proxy.runtime.runtime import Runtime


URL = "https://api.example.com/v1"


@respx.mock
@pytest.mark.parametrize(
    ("answer", "status", "text", "remedy"),
    [
        (httpx.Response(200), "ok", f"{URL} answers", ""),
        (httpx.Response(404), "ok", f"{URL} answers, with 404 to /models", ""),
        (httpx.Response(401), "fail", "the key is missing or wrong", "see [backends.mine] api_key"),
        (httpx.Response(503), "warn", "answers 503", "passing fault"),
        (
            httpx.ConnectError("refused"),
            "fail",
            "cannot be reached: no connection could be made",
            "see [backends.mine] base_url",
        ),
        (httpx.ReadTimeout(""), "fail", "cannot be reached: it was silent for too long", "base_url"),
    ],
)
async def test_findings(answer: httpx.Response | Exception, status: str, text: str, remedy: str) -> None:
    """The check says whether the API can be reached and whether it accepts the key, and what to do."""
    route = respx.get(f"{URL}/models").mock(side_effect=[answer])
    upstream = HttpUpstream("mine", HttpSettings(base_url=URL), {"authorization": "Bearer k"})
    check = upstream.check("/models")
    finding = await check.run()
    assert check.name == "mine: API"
    assert finding.status == status
    assert text in finding.text
    assert remedy in finding.remedy
    assert route.calls.last.request.headers["authorization"] == "Bearer k"


@respx.mock
async def test_the_backends() -> None:
    """Each backend over HTTP asks its own API for the models."""
    openai = respx.get("https://api.openai.com/v1/models").respond(200)
    anthropic = respx.get("https://api.anthropic.com/v1/models").respond(200)
    runtime = Runtime(parse({"backends": {"o": {"type": "openai"}, "a": {"type": "anthropic"}}}, None))
    checks: list[Any] = []
    for plugin in (openai_api, anthropic_api):
        plugin.register_checks(checks.append, runtime.backends)
    for check in checks:
        assert (await check.run()).status == "ok"
    assert [check.name for check in checks] == ["o: API", "a: API"]
    assert openai.called
    assert anthropic.called
