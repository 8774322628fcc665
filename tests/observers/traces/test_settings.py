"""The settings of ``[plugins.traces]``, which are checked before a configuration comes into force."""

from __future__ import annotations

from pathlib import Path

import pytest

from claude_max_proxy import ConfigError
from claude_max_proxy.observers import traces
from tests.scripted import scripted_runtime


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"endpoint": "collector:4318"}, r"endpoint: it must be a URL"),
        ({"endpoint": "ftp://collector"}, r"endpoint: it must be a URL"),
        (
            {"endpoint": "http://me:secret@collector"},
            r"endpoint: it must have neither a password nor a query",
        ),
        ({"endpoint": "http://collector?token=secret"}, r"endpoint: it must have neither a password"),
        (
            {"endpoint": "http://collector", "headers": {"x": "env:NO_SUCH_VARIABLE"}},
            r"headers\.x: the environment variable 'NO_SUCH_VARIABLE' is not set",
        ),
        ({"sample": 2}, r"sample"),
    ],
)
def test_what_cannot_be_used(tmp_path: Path, settings: dict[str, object], problem: str) -> None:
    """What cannot be used is told with its place, and without a secret."""
    with pytest.raises(ConfigError, match=rf"plugins\.traces\.{problem}") as raised:
        scripted_runtime(tmp_path, {"plugins": {"traces": settings}})
    assert "secret" not in str(raised.value).replace("for secrets", "")


def test_missing_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, an endpoint is told what to install; without an endpoint, nothing is missed."""
    monkeypatch.setattr(traces, "_NEEDED", ("opentelemetry.no_such", "no_such_package.at_all"))
    scripted_runtime(tmp_path)
    (tmp_path / "other").mkdir()
    with pytest.raises(ConfigError, match=r"pip install 'claude-max-proxy\[otel\]'"):
        scripted_runtime(tmp_path / "other", {"plugins": {"traces": {"endpoint": "http://collector"}}})
