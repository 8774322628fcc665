"""Where OpenClaw keeps its configuration, under this name or one of its older ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path


# The newest name first. Each has its folder, its file and its own variables.
_NAMES = ("openclaw", "moltbot", "moldbot", "clawdbot")


def find(environment: Mapping[str, str], home: Path) -> Path:
    """Return the configuration's path, as OpenClaw itself finds it; the newest name's where there is none."""
    for name in _NAMES:
        if given := environment.get(f"{name.upper()}_CONFIG_PATH", "").strip():
            return _path(given, _home(environment, home))
    candidates = list(_candidates(environment, _home(environment, home)))
    return next((path for path in candidates if path.is_file()), candidates[0])


def is_read_only(environment: Mapping[str, str]) -> bool:
    """Tell whether OpenClaw was told that its configuration is managed from outside."""
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
    """Make a path of what a variable says; ``~`` is OpenClaw's home."""
    if given == "~" or given.startswith(("~/", "~\\")):
        return home / given[2:]
    return Path(given).absolute()
