"""What the package exports, and that its versions agree."""

from __future__ import annotations

import ast
import importlib.metadata
import re
from pathlib import Path

import claude_max_proxy


ROOT = Path(__file__).resolve().parent.parent


def imported(source: str) -> set[str]:
    """The public names that a module's source imports from the package."""
    return {
        alias.asname or alias.name
        for node in ast.parse(source).body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("claude_max_proxy")
        for alias in node.names
    }


def test_all_is_sorted_and_complete() -> None:
    """``__all__`` lists exactly what the package imports to export, in order."""
    names = imported(Path(claude_max_proxy.__file__).read_text()) | {"__version__"}
    assert claude_max_proxy.__all__ == sorted(names)
    for name in claude_max_proxy.__all__:
        assert hasattr(claude_max_proxy, name)


def test_the_version_is_one() -> None:
    """The package and its metadata say the same version, written as versions are."""
    assert re.fullmatch(r"\d+\.\d+\.\d+", claude_max_proxy.__version__)
    assert importlib.metadata.version("claude-max-proxy") == claude_max_proxy.__version__


def test_the_changelog_knows_the_version() -> None:
    """The newest entry of the changelog is this version's."""
    file = ROOT / "CHANGELOG.md"
    headings = re.findall(r"^## \[?(\d+\.\d+\.\d+)", file.read_text() if file.exists() else "", re.MULTILINE)
    assert headings[:1] in ([], [claude_max_proxy.__version__])


def test_the_package_is_typed() -> None:
    """Type checkers of those who write plugins find our types."""
    assert (Path(claude_max_proxy.__file__).parent / "py.typed").is_file()
