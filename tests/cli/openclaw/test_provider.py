"""What is written into OpenClaw's configuration."""

from __future__ import annotations

from typing import Any

import pytest

from claude_max_proxy.backend import ModelInfo
from claude_max_proxy.cli.openclaw.provider import Proxy, configuration, provider, wants_current_form


KNOWN = ModelInfo("m", 1_000_000, 64_000, ("text", "image", "pdf"), True, ("low", "high"))
PROXY = Proxy(
    "http://127.0.0.1:3456",
    "not-needed",
    {"known": KNOWN, "unknown": ModelInfo()},
    ("/bin/python", "-m", "x"),
    "/p",
)


def block(api: Any = "openai-responses", *, current: bool = True, **before: Any) -> dict[str, Any]:
    """Return a provider's block."""
    return provider(PROXY, api, before, current=current)


def test_the_whole_block() -> None:
    """It says where the proxy is, how it is started, and what is known about each model."""
    known, unknown = block()["models"]
    assert block() | {"models": []} == {
        "baseUrl": "http://127.0.0.1:3456/v1",
        "apiKey": "not-needed",
        "api": "openai-responses",
        "timeoutSeconds": 900,
        "localService": {
            "command": "/bin/python",
            "args": ["-m", "x"],
            "env": {"PATH": "/p"},
            "healthUrl": "http://127.0.0.1:3456/health",
            "readyTimeoutMs": 30_000,
        },
        "models": [],
    }
    assert known == {
        "id": "known",
        "name": "known (Claude Code)",
        "reasoning": True,
        "input": ["text", "image"],
        "contextWindow": 1_000_000,
        "maxTokens": 64_000,
        "compat": {
            "supportsPromptCacheKey": True,
            "sendSessionAffinityHeaders": True,
            "supportsReasoningEffort": True,
            "supportedReasoningEfforts": ["low", "high"],
        },
    }
    assert (unknown["contextWindow"], unknown["maxTokens"], unknown["reasoning"]) == (200_000, 32_000, False)
    assert "supportsReasoningEffort" not in unknown["compat"]


def test_the_messages_api() -> None:
    """OpenClaw adds ``/v1`` to the base URL of this API by itself."""
    assert block("anthropic-messages")["baseUrl"] == "http://127.0.0.1:3456"


def test_the_form_for_old_releases() -> None:
    """It contains no key that the first releases refuse."""
    old = block(current=False)
    assert old.keys() == {"baseUrl", "apiKey", "api", "models"}
    assert [model.get("compat") for model in old["models"]] == [{"supportsReasoningEffort": True}, None]


def test_what_the_user_chose_stays() -> None:
    """A time limit, a model's name, and facts that the proxy does not know are kept; others are updated."""
    models = [{"id": "unknown", "name": "Mine", "maxTokens": 5}, {"id": "known", "maxTokens": 5}, "?"]
    known, unknown = block(timeoutSeconds=60, models=models)["models"]
    assert block(timeoutSeconds=60)["timeoutSeconds"] == 60
    assert (unknown["name"], unknown["maxTokens"], known["maxTokens"]) == ("Mine", 5, 64_000)


@pytest.mark.parametrize(
    ("before", "make_default", "expected"),
    [
        ({}, False, {"model": {"primary": "p/known"}}),
        ({"model": {"primary": "o/m"}}, False, None),
        ({"model": "o/m"}, False, None),
        ({"model": {"fallbacks": ["o/m"]}}, False, {"model": {"primary": "p/known"}}),
        ({"model": {"primary": "o/m"}}, True, {"model": {"primary": "p/known"}}),
        ({"model": "o/m"}, True, {"model": "p/known"}),
        (
            {"model": "o/m", "models": {"o/m": {}, "p/known": {"alias": "k"}}},
            False,
            {"models": {"p/known": {"alias": "k"}, "p/unknown": {}}},
        ),
    ],
)
def test_the_default_model(before: dict[str, Any], make_default: bool, expected: Any) -> None:
    """An existing default is changed only on demand; a list of models gets ours as well."""
    wanted = configuration("p", block(), {"agents": {"defaults": before}}, make_default=make_default)
    assert wanted.get("agents", {}).get("defaults") == expected


@pytest.mark.parametrize(
    ("name", "version", "expected"),
    [
        ("openclaw.json", "", True),
        ("openclaw.json", "2026.9.6", True),
        ("openclaw.json", "2026.10.1-beta.1", True),
        ("openclaw.json", "2026.2.26", False),
        ("openclaw.json", "2026.7.1-2", False),
        ("clawdbot.json", "", False),
        ("moltbot.json", "", False),
        ("mine.json", "dev", True),
    ],
)
def test_which_form(name: str, version: str, expected: bool) -> None:
    """The release that wrote the file last, or the file's old name, determines which keys it may contain."""
    assert wants_current_form(name, {"meta": {"lastTouchedVersion": version}}) is expected
