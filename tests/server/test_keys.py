"""API keys: which client a key identifies, which models it may ask for, and how often."""

from __future__ import annotations

import hmac
from pathlib import Path
from typing import Any

import pytest

from claude_max_proxy import ConfigError
from claude_max_proxy.config import ApiKey
from claude_max_proxy.rate_limits import RateLimits
from claude_max_proxy.server.keys import Keys
from tests.server.conftest import Serve
from tests.server.test_routes import CHAT, error_of


MODELS = {"gpt-4o": "claude/sonnet", "gpt-*": "claude/haiku"}
FEW = {"alice": "secret-a", "bob": {"key": "secret-b", "models": ["gpt-*", "opus"]}}
ALICE, BOB = {"authorization": "Bearer secret-a"}, {"x-api-key": "secret-b"}


async def test_several_names(serve: Serve) -> None:
    """Each key has a name, by which plugins and the log know the client."""
    served = await serve(server={"api_keys": FEW}, models=MODELS)
    for headers in (ALICE, BOB):
        body = {**CHAT, "model": "gpt-4o"}
        assert (await served.http.post("/v1/chat/completions", json=body, headers=headers)).status_code == 200
    assert [request.client.key for request, _ in served.backend.asked] == ["alice", "bob"]


@pytest.mark.parametrize(
    ("model", "status"), [("gpt-4o", 200), ("gpt-5", 200), ("opus", 200), ("sonnet", 404), ("claude-x", 404)]
)
async def test_allowed_models(serve: Serve, model: str, status: int) -> None:
    """A key for some models, by name or pattern, sees no others: they do not exist for it."""
    served = await serve(server={"api_keys": FEW}, models=MODELS)
    asked = await served.http.post("/v1/chat/completions", json={**CHAT, "model": model}, headers=BOB)
    shown = await served.http.get(f"/v1/models/{model}", headers=BOB)
    assert (asked.status_code, shown.status_code) == (status, status)
    assert len(served.backend.asked) == (status == 200)
    if status == 404:
        assert error_of(asked)["code"] == error_of(shown)["code"] == "model_not_found"


async def test_the_list_is_a_keys_own(serve: Serve) -> None:
    """``/v1/models`` lists what the key may ask for, and nothing else; hidden names never."""
    models = {**MODELS, "gpt-secret": {"to": "claude/opus", "hidden": True}}
    served = await serve(server={"api_keys": FEW}, models=models)

    async def listed(headers: dict[str, str]) -> set[str]:
        rows = (await served.http.get("/v1/models", headers=headers)).json()["data"]
        return {row["id"] for row in rows}

    assert await listed(BOB) == {"gpt-4o", "opus"}
    assert {"gpt-4o", "opus", "sonnet"} <= await listed(ALICE)
    assert "gpt-secret" not in await listed(ALICE)
    body = {**CHAT, "model": "gpt-secret"}
    assert (await served.http.post("/v1/chat/completions", json=body, headers=BOB)).status_code == 200


async def test_so_often(serve: Serve) -> None:
    """A key that asks too often gets a 429 that says when to come back; others do not have to wait."""
    often = {"alice": "secret-a", "bob": {"key": "secret-b", "requests_per_minute": 2}}
    served = await serve(server={"api_keys": often})

    async def ask(headers: dict[str, str]) -> Any:
        return await served.http.post("/v1/chat/completions", json=CHAT, headers=headers)

    assert [(await ask(BOB)).status_code for _ in range(3)] == [200, 200, 429]
    refused = await ask(BOB)
    assert 55 <= int(refused.headers["retry-after"]) <= 60
    error = error_of(refused)
    assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")
    assert "2 times a minute" in error["message"]
    assert (await ask(ALICE)).status_code == 200
    assert (await served.http.get("/v1/models", headers=BOB)).status_code == 200
    assert len(served.backend.asked) == 3


def test_every_key_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key is compared with every secret, each in constant time, so the time reveals nothing."""
    compared: list[bytes] = []
    compare = hmac.compare_digest

    def noting(secret: bytes, given: bytes) -> bool:
        compared.append(secret)
        return compare(secret, given)

    monkeypatch.setattr(hmac, "compare_digest", noting)
    keys = Keys({"a": "one", "b": "two", "c": "three"}, RateLimits())
    assert keys.identify({"x-api-key": "one"}) == "a"
    assert compared == [b"one", b"two", b"three"]


def test_a_key_of_any_letters() -> None:
    """A key may contain letters beyond ASCII: it is compared as the bytes that a client sends."""
    header = "schlüssel".encode().decode("latin-1")
    assert Keys({"me": "schlüssel"}, RateLimits()).identify({"x-api-key": header}) == "me"


def test_where_keys_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key may be in the environment or in a file, in its short form or its long one."""
    monkeypatch.setenv("A_KEY", "one")
    (tmp_path / "key").write_text("two\n")
    keys = Keys({"a": "env:A_KEY", "b": ApiKey(key=f"file:{tmp_path}/key")}, RateLimits())
    assert [keys.identify({"x-api-key": key}) for key in ("one", "two")] == ["a", "b"]


def test_a_key_that_is_not_there() -> None:
    """A key that cannot be found is an error at the start, and never lets clients in without one."""
    with pytest.raises(
        ConfigError, match=r"^server\.api_keys\.\"a b\": the environment variable 'NOT_SET_AT_ALL'"
    ):
        Keys({"a b": "env:NOT_SET_AT_ALL"}, RateLimits())


async def test_without_keys() -> None:
    """Without keys every client may ask for everything."""
    keys = Keys({}, RateLimits())
    assert keys.identify({}) == ""
    assert keys.allows("", "any")
    await keys.admit("", "any")
