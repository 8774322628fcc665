"""Which models were used in the last days."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from claude_max_proxy.backends.claude_cli.used_models import UsedModels


def written(folder: Path) -> dict[str, float]:
    """Return the content of the file."""
    return json.loads((folder / "claude" / "used-models.json").read_text())


def test_the_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model used last is remembered for some days, across restarts, and others with it."""
    now = 1_000_000.0
    monkeypatch.setattr(time, "time", lambda: now)
    models = UsedModels("claude", tmp_path)
    assert models.last_used("sonnet") == "sonnet"
    for model in ("opus", "haiku", "opus"):
        now += 1
        models.use(model)
    assert written(tmp_path).keys() == {"opus", "haiku"}
    assert UsedModels("claude", tmp_path).last_used("sonnet") == "opus"
    assert UsedModels("other", tmp_path).last_used("sonnet") == "sonnet"
    now += 4 * 86400
    assert UsedModels("claude", tmp_path).last_used("sonnet") is None


def test_it_is_written_once_in_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that is used all the time is not written to the file each time."""
    now = 1_000_000.0
    monkeypatch.setattr(time, "time", lambda: now)
    models = UsedModels("claude", tmp_path)
    for _ in range(5):
        models.use("opus")
        now += 60
    assert written(tmp_path) == {"opus": 1_000_000.0}
    now += 600
    models.use("opus")
    assert written(tmp_path) == {"opus": now}


def test_the_names_are_bounded(tmp_path: Path) -> None:
    """Clients choose the names, so only the newest are kept."""
    models = UsedModels("claude", tmp_path)
    for number in range(50):
        models.use(f"model-{number}")
    assert len(written(tmp_path)) == 20
    assert "model-49" in written(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "no JSON", '{"opus": "now"}'])
def test_a_broken_file(text: str, tmp_path: Path) -> None:
    """A file that cannot be read is ignored, and replaced."""
    path = tmp_path / "claude" / "used-models.json"
    path.parent.mkdir()
    path.write_text(text)
    models = UsedModels("claude", tmp_path)
    assert models.last_used("sonnet") == "sonnet"
    models.use("opus")
    assert written(tmp_path).keys() == {"opus"}


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    """If the file cannot be written, nothing is remembered."""
    (tmp_path / "claude").write_text("a file")
    models = UsedModels("claude", tmp_path)
    models.use("opus")
    assert models.last_used("sonnet") == "sonnet"
