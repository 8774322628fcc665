"""Providers that repeat the whole request in an error: the client does not get to see our key."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from claude_max_proxy import Message, ProxyError, Request, Text
from claude_max_proxy.backends.anthropic_api.backend import AnthropicApi
from claude_max_proxy.backends.anthropic_api.settings import AnthropicApiSettings
from claude_max_proxy.backends.openai_api.backend import OpenAIApi
from claude_max_proxy.backends.openai_api.settings import OpenAIApiSettings
from tests.raw_server import RawServer, whole


KEY, OTHER = "sk-never-to-be-seen", "also-never-to-be-seen"
SAID = f"you said Authorization: Bearer {KEY}, x-api-key: {KEY} and x-mine: {OTHER}"
BODIES = {
    "an envelope": json.dumps({"error": {"message": SAID, "type": "x", "code": KEY}}),
    "plain text": SAID,
    "other JSON": json.dumps([{"detail": SAID}]),
}


def openai(url: str) -> Any:
    """Return a backend for this server."""
    return OpenAIApi("my", OpenAIApiSettings(base_url=url, api_key=KEY, headers={"x-mine": OTHER}, retries=0))


def anthropic(url: str) -> Any:
    """Return a backend for this server, with the other API."""
    settings = AnthropicApiSettings(base_url=url, api_key=KEY, headers={"x-mine": OTHER}, retries=0)
    return AnthropicApi("my", settings)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("status", [400, 401, 404, 413, 429, 500, 529])
@pytest.mark.parametrize("build", [openai, anthropic])
async def test_our_own_key(build: Callable[[str], Any], status: int, body: str) -> None:
    """Whatever a provider's error repeats, the backend's keys are masked in it, everywhere."""
    async with RawServer([whole(body.encode(), f"{status} X")]) as server:
        backend = build(server.url)
        await backend.start()
        try:
            with pytest.raises(ProxyError) as caught:
                async for _ in backend.answer(Request("m", messages=[Message("user", [Text("q")])]), "m"):
                    pass
        finally:
            await backend.stop()
    error = caught.value
    assert "you said" in error.message
    for told in (error.message, error.logged, str(error), json.dumps(backend.health())):
        assert KEY not in told
        assert OTHER not in told
