"""Keys: where they are read from, and that they are never shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from claude_max_proxy import ConfigError, Secret, resolve_secret
from claude_max_proxy.http_upstream import HttpSettings


def test_the_text_itself() -> None:
    """A text without a special prefix is the key."""
    assert resolve_secret("sk-1:2", "x").reveal() == "sk-1:2"
    assert not resolve_secret("", "x")


def test_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """``env:NAME`` is read when the backend is built, without surrounding white space."""
    monkeypatch.setenv("MY_KEY", " sk-1 \n")
    assert resolve_secret("env:MY_KEY", "x").reveal() == "sk-1"


def test_from_a_file(tmp_path: Path) -> None:
    """``file:PATH`` is a file that contains only the key."""
    (tmp_path / "key").write_text("sk-1\n")
    assert resolve_secret(f"file:{tmp_path / 'key'}", "x").reveal() == "sk-1"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("env:NOT_SET_AT_ALL", "backends.x.api_key: the environment variable 'NOT_SET_AT_ALL' is not set"),
        ("file:/nowhere/key", "backends.x.api_key: the file '/nowhere/key' cannot be read: No such file"),
        ("file:/dev/null", "backends.x.api_key: the file '/dev/null' cannot be read: it is a device"),
        ("a\nb", "backends.x.api_key: holds characters that no HTTP header can carry"),
        ("schlüssel", "backends.x.api_key: holds characters that no HTTP header can carry"),
    ],
)
def test_what_cannot_be_had(given: str, message: str) -> None:
    """A missing key is an error of the configuration that names its path, and not the key."""
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        HttpSettings(base_url="http://x", api_key=given).key("x")


def test_a_secret_does_not_show() -> None:
    """Neither a secret nor the settings that contain one show it when they are printed."""
    assert "sk-1" not in f"{Secret('sk-1')} {Secret('sk-1')!r}"
    settings = HttpSettings(base_url="http://x", api_key="sk-1", headers={"x-key": "sk-2"})
    assert "sk-" not in f"{settings} {settings!r}"
