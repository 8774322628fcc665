"""The plugins that are shipped as files, which users can copy into their own folder."""

from __future__ import annotations

from pathlib import Path


def shipped() -> dict[str, Path]:
    """Return the files by the plugins' names; they are in the package, or at the root of a checkout."""
    package = Path(__file__).parents[1]
    for folder in (package / "cli" / "shipped", package.parent / "plugins"):
        if folder.is_dir():
            return {file.stem: file for file in sorted(folder.glob("*.py")) if not file.name.startswith("_")}

    return {}
