"""``[backends.<name>]`` of type ``claude-cli``, and where its variables come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from claude_max_proxy import ConfigError
from claude_max_proxy.backends.claude_cli.backend import ClaudeCli
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings


def test_variables_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value may name the place where it is kept, and is then used as if it were written out."""
    monkeypatch.setenv("MY_TOKEN", "from the environment")
    (tmp_path / "token").write_text("one\ntwo ü\n")
    (tmp_path / "token").chmod(0o600)
    env = {"A": f"file:{tmp_path / 'token'}", "B": "env:MY_TOKEN", "C": "as it is", "D": ""}
    backend = ClaudeCli("claude", ClaudeCliSettings(env=env))
    assert backend.settings.env == {"A": "one\ntwo ü", "B": "from the environment", "C": "as it is", "D": ""}


def test_variables_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each value that cannot be found is reported by its path."""
    monkeypatch.delenv("NOT_SET_AT_ALL", raising=False)
    settings = ClaudeCliSettings(env={"A.B": "file:/none/at all", "C": "env:NOT_SET_AT_ALL", "D": "x"})
    with pytest.raises(ConfigError) as caught:
        ClaudeCli("mine", settings)
    assert caught.value.messages == (
        "backends.mine.env.\"A.B\": the file '/none/at all' cannot be read: No such file or directory",
        "backends.mine.env.C: the environment variable 'NOT_SET_AT_ALL' is not set",
    )
