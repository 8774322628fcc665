"""What the CLI backend's tests share: a fake CLI, and a backend that runs it."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from claude_max_proxy.backends.claude_cli.backend import ClaudeCli
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings


FAKE = [sys.executable, "-I", "-S", str(Path(__file__).with_name("fake_cli.py"))]

MakeBackend = Callable[..., ClaudeCli]


@pytest.fixture
async def make_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MakeBackend]:
    """Return a function that makes a backend whose CLI is the fake; its processes end with the test.

    ``fake`` says what is wrong with the CLI, see ``FAULTS`` there; everything else is a setting.
    """
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    made: list[ClaudeCli] = []

    def make(*, fake: dict[str, Any] | None = None, **settings: Any) -> ClaudeCli:
        given = {"command": FAKE, "warm": 0, "env": {"FAKE_CLI": json.dumps(fake or {})}, **settings}
        backend = ClaudeCli("claude", ClaudeCliSettings(**given))
        made.append(backend)
        return backend

    yield make
    for backend in made:
        await backend.stop()


@pytest.fixture
async def backend(make_backend: MakeBackend) -> ClaudeCli:
    """Return a backend with the default settings, started."""
    backend = make_backend()
    await backend.start()
    return backend
