"""What a reload has changed, in words for the log: names alone, since a value may be a secret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from claude_max_proxy.config import Config, quoted
from claude_max_proxy.plugin.drop_ins import Stamp


Stamps = Mapping[Path, Stamp]


def told(
    before: Config, after: Config, files_before: Stamps, files_after: Stamps, waiting: Sequence[str]
) -> list[str]:
    """Say which keys and files are new, changed or gone; ``waiting`` are the keys that need a restart."""
    old, new = _entries(before, files_before), _entries(after, files_after)
    parts = {
        "new": [name for name in new if name not in old],
        "changed": [name for name in new if name in old and new[name] != old[name]],
        "gone": [name for name in old if name not in new],
        "waiting for a restart": list(waiting),
    }
    said = [f"{word}: {', '.join(names)}" for word, names in parts.items() if names]
    return said or ["nothing in it has changed"]


def _entries(config: Config, stamps: Stamps) -> dict[str, Any]:
    """Return what a configuration says by the path of each key, and its other files by theirs."""
    tables = {
        "server": msgspec.structs.asdict(config.server),
        "shared": msgspec.structs.asdict(config.shared),
        "models": config.models,
        "backends": config.backends,
        "plugins": {"paths": config.plugins.paths, "order": config.plugins.order, **config.plugins.tables},
    }
    keys: dict[str, Any] = {
        f"{table}.{quoted(name)}": value for table, names in tables.items() for name, value in names.items()
    }
    return keys | {str(path): stamp for path, stamp in stamps.items() if path != config.source}
