"""Secrets: written out, in the environment, or in a file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from claude_max_proxy import ConfigError
from claude_max_proxy.config import ApiKey
from claude_max_proxy.config.secret import MASK, find_secret, fingerprint, masked, secret_files


def test_where_a_secret_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret is written in the configuration, in the environment, or alone in a file, without line end."""
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
        ("file:fifo", "the file 'fifo' cannot be read: it is a FIFO, not a regular file"),
        ("file:binary", "the file 'binary' cannot be read: it is not text"),
    ],
)
def test_a_secret_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, message: str
) -> None:
    """A missing secret is reported with the place in ``proxy.toml`` that refers to it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMPTY_ONE", "")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "empty").write_text(" \n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ConfigError, match=rf"^server\.api_keys\.me: {message}"):
        find_secret(value, "server.api_keys.me")


def test_which_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are found wherever a configuration names them; other texts name no files."""
    monkeypatch.setenv("HOME", "/home/me")
    table = {"a": ["file:/x", {"b": ("file:~/y", "env:Z", "file:", 1)}], "file:no": ApiKey(key="file:z")}
    assert [str(path) for path in secret_files(table)] == ["/x", "/home/me/y", "z"]


def test_fingerprints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fingerprint changes with each secret that is referred to, and with nothing else."""
    monkeypatch.setenv("SOME_SECRET", "one")
    key = tmp_path / "key"
    table = {"a": f"file:{key}", "b": ["env:SOME_SECRET"]}
    seen = [fingerprint(table)]
    key.write_text("one")
    seen.append(fingerprint(table))
    key.write_text("two")
    seen.append(fingerprint(table))
    monkeypatch.setenv("SOME_SECRET", "two")
    seen.append(fingerprint(table))
    key.touch()
    assert len(set(seen)) == len(seen)
    assert fingerprint(table) == seen[-1]
    assert fingerprint({"a": "b"}) == fingerprint({})


@pytest.mark.parametrize(
    ("value", "shown"), [("sk-abc", MASK), ("env:NAME", "env:NAME"), ("file:~/x", "file:~/x"), ("", MASK)]
)
def test_what_is_shown(value: str, shown: str) -> None:
    """The place of a secret may be shown; the secret itself never."""
    assert masked(value) == shown
