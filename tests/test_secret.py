"""Secrets: written out, in the environment, or in a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from claude_max_proxy import ConfigError
from claude_max_proxy.secret import MASK, find_secret, masked


def test_where_a_secret_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret stands in the file itself, in the environment, or alone in a file, without its line's end."""
    monkeypatch.setenv("SOME_SECRET", "from the environment")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "secret").write_text("from a file\n")
    assert find_secret("as it is", "x") == "as it is"
    assert find_secret("a:b", "x") == "a:b"
    assert find_secret("env:", "x") == "env:"
    assert find_secret("env:SOME_SECRET", "x") == "from the environment"
    assert find_secret(f"file:{tmp_path}/secret", "x") == "from a file"
    assert find_secret("file:~/secret", "x") == "from a file"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("env:NOT_SET_AT_ALL", "the environment variable 'NOT_SET_AT_ALL' is not set"),
        ("env:EMPTY_ONE", "the environment variable 'EMPTY_ONE' is not set"),
        ("file:none", "the file 'none' cannot be read: No such file"),
        ("file:empty", "the file 'empty' is empty"),
        ("file:binary", "the file 'binary' cannot be read: it is not text"),
    ],
)
def test_a_secret_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, message: str
) -> None:
    """A secret that is not to be found is told with the place in ``proxy.toml`` that wants it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMPTY_ONE", "")
    (tmp_path / "empty").write_text(" \n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ConfigError, match=rf"^server\.api_keys\.me: {message}"):
        find_secret(value, "server.api_keys.me")


@pytest.mark.parametrize(
    ("value", "shown"), [("sk-abc", MASK), ("env:NAME", "env:NAME"), ("file:~/x", "file:~/x"), ("", MASK)]
)
def test_what_is_shown(value: str, shown: str) -> None:
    """Where a secret is to be found may be shown; a secret never."""
    assert masked(value) == shown
