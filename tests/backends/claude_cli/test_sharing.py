"""Who shares the login of a CLI: several API keys that lead to it, and nobody else."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from claude_max_proxy.backends.claude_cli.sharing import check, sharing
from claude_max_proxy.config import parse
from claude_max_proxy.runtime.runtime import Runtime


API = {"type": "openai", "base_url": "http://127.0.0.1:9/v1"}
BACKENDS: dict[str, Any] = {"claude": {"type": "claude-cli"}, "api": API}
MODELS: dict[str, Any] = {
    "mine": "claude/opus",
    "ours": "api/gpt",
    "again": "mine",
    "rescued": {"to": "api/gpt", "fallback": ["mine"]},
}


def limited(*models: str) -> dict[str, Any]:
    """Return a key that may only ask for these models."""
    return {"key": f"key for {models}", "models": list(models)}


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        ({}, []),
        ({"a": "1"}, []),
        ({"a": "1", "b": "2"}, ["a", "b"]),
        ({"a": "1", "b": limited("ours")}, []),
        ({"a": limited("mine"), "b": limited("again")}, ["a", "b"]),
        ({"a": limited("mine"), "b": limited("m*"), "c": limited("ours")}, ["a", "b"]),
        ({"a": limited("mine"), "b": limited("rescued")}, ["a", "b"]),
    ],
)
def test_who_shares(keys: dict[str, Any], names: list[str]) -> None:
    """Those keys share a login whose models lead to its backend, also by another name or a fallback."""
    config = parse({"server": {"api_keys": keys}, "backends": BACKENDS, "models": MODELS}, None)
    assert sharing(config, "claude") == names


def test_an_api_key_is_no_plan() -> None:
    """A CLI that uses an API key may serve a team."""
    backends = {**BACKENDS, "claude": {"type": "claude-cli", "env": {"ANTHROPIC_API_KEY": "x"}}}
    config = parse(
        {"server": {"api_keys": {"a": "1", "b": "2"}}, "backends": backends, "models": MODELS}, None
    )
    assert sharing(config, "claude") == []


async def test_it_is_said(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """The log and the doctor name the keys and say what to do."""
    backends = {**BACKENDS, "claude": {"type": "claude-cli", "command": [str(tmp_path / "none")]}}
    config = parse(
        {"server": {"api_keys": {"ann": "1", "bob": "2"}}, "backends": backends, "models": MODELS}, None
    )
    with caplog.at_level(logging.WARNING):
        await Runtime(config).configured(None)
    (told,) = [record.message for record in caplog.records if "ann, bob" in record.message]
    assert "a Claude plan is for one person" in told
    finding = await check(config, "claude").run()
    assert (finding.status, "ann, bob" in finding.text) == ("warn", True)
