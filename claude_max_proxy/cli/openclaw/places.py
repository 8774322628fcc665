"""Finds where OpenClaw keeps its configuration, under its present name or an older one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import platformdirs

from claude_max_proxy.runtime.runtime import APPLICATION


# The newest name comes first. For each name there is a folder, a file and environment variables.
_NAMES = ("openclaw", "moltbot", "moldbot", "clawdbot")


def find(environment: Mapping[str, str], home: Path) -> Path:
    """Return the path of the configuration, found as OpenClaw does, or of a new one with the newest name."""
    for name in _NAMES:
        if given := environment.get(f"{name.upper()}_CONFIG_PATH", "").strip():
            return _path(given, _home(environment, home))
    candidates = list(_candidates(environment, _home(environment, home)))
    return next((path for path in candidates if path.is_file()), candidates[0])


def log_file() -> Path:
    """Return the file for the log of a proxy that OpenClaw starts: OpenClaw itself keeps none of it."""
    return Path(platformdirs.user_log_dir(APPLICATION, appauthor=False)) / "openclaw.log"


def is_read_only(environment: Mapping[str, str]) -> bool:
    """Return whether a variable tells OpenClaw that its configuration is managed by another program."""
    names = ("OPENCLAW_CONFIG_READONLY", *(f"{name.upper()}_NIX_MODE" for name in _NAMES))
    return any(environment.get(name) == "1" for name in names)


def _candidates(environment: Mapping[str, str], home: Path) -> Iterator[Path]:
    profile = environment.get("OPENCLAW_PROFILE", "").strip()
    for name in _NAMES:
        if given := environment.get(f"{name.upper()}_STATE_DIR", "").strip():
            yield from (_path(given, home) / f"{one}.json" for one in _NAMES)
    if profile and profile.lower() != "default":
        yield home / f".openclaw-{profile}" / "openclaw.json"
        return
    for folder in _NAMES:
        yield from (home / f".{folder}" / f"{name}.json" for name in _NAMES)


def _home(environment: Mapping[str, str], home: Path) -> Path:
    given = environment.get("OPENCLAW_HOME", "").strip()
    return _path(given, home) if given else home


def _path(given: str, home: Path) -> Path:
    """Return the path that a variable contains; ``~`` stands for OpenClaw's home directory."""
    if given == "~" or given.startswith(("~/", "~\\")):
        return home / given[2:]
    return Path(given).absolute()
