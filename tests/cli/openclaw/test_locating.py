"""Finding OpenClaw's configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from claude_max_proxy.cli.openclaw.places import find, is_read_only


@pytest.mark.parametrize(
    ("there", "environment", "expected"),
    [
        ([], {}, ".openclaw/openclaw.json"),
        ([".clawdbot/clawdbot.json"], {}, ".clawdbot/clawdbot.json"),
        ([".moltbot/moltbot.json", ".clawdbot/clawdbot.json"], {}, ".moltbot/moltbot.json"),
        ([".openclaw/openclaw.json", ".moltbot/moltbot.json"], {}, ".openclaw/openclaw.json"),
        ([".openclaw/clawdbot.json"], {}, ".openclaw/clawdbot.json"),
        ([".openclaw/openclaw.json"], {"OPENCLAW_STATE_DIR": "~/state"}, ".openclaw/openclaw.json"),
        (["state/openclaw.json"], {"OPENCLAW_STATE_DIR": "~/state"}, "state/openclaw.json"),
        ([], {"OPENCLAW_STATE_DIR": "~/state"}, "state/openclaw.json"),
        ([], {"OPENCLAW_CONFIG_PATH": "~/mine.json5"}, "mine.json5"),
        ([], {"CLAWDBOT_CONFIG_PATH": "~/old.json"}, "old.json"),
        ([], {"OPENCLAW_HOME": "~/else"}, "else/.openclaw/openclaw.json"),
        ([], {"OPENCLAW_PROFILE": "work"}, ".openclaw-work/openclaw.json"),
        ([], {"OPENCLAW_PROFILE": "default"}, ".openclaw/openclaw.json"),
    ],
)
def test_where_it_is(tmp_path: Path, there: list[str], environment: dict[str, str], expected: str) -> None:
    """The order is OpenClaw's own: its variables, then the newest name that exists, then the newest name."""
    for name in there:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    assert find(environment, tmp_path) == tmp_path / expected


def test_managed_from_outside() -> None:
    """The variables that forbid OpenClaw to write its configuration are respected."""
    assert is_read_only({"OPENCLAW_CONFIG_READONLY": "1"})
    assert is_read_only({"OPENCLAW_NIX_MODE": "1"})
    assert not is_read_only({"OPENCLAW_CONFIG_READONLY": "0"})
