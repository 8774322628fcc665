"""What the package exports, and that its version is the same everywhere."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

import claude_max_proxy


ROOT = Path(__file__).resolve().parent.parent
# Public modules besides the root: those that define their names, and those that collect others'.
OWN = tuple(
    f"claude_max_proxy.{name}"
    for name in (
        *("backend", "context", "dialect", "errors", "events"),
        *("facts.budgets", "facts.inspection", "facts.plan_windows"),
        *("facts.processes", "facts.replicas", "facts.spending"),
        *("request_id", "route", "vault"),
    )
)
COLLECTED = tuple(
    f"claude_max_proxy.{name}"
    for name in ("anthropic_messages", "capabilities", "formats", "http_upstream", "ledger")
)
PUBLIC = (*OWN, *COLLECTED, "claude_max_proxy.testing", "claude_max_proxy.testing.conformance")


def exported(name: str) -> set[str]:
    """Return the names that a public module exports."""
    return set(importlib.import_module(name).__all__)


def defined(module: ModuleType) -> set[str]:
    """Return the public names that a module defines itself: classes, functions and types."""
    body = ast.parse(inspect.getsource(module)).body
    names = {
        node.name for node in body if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    }
    names |= {
        node.targets[0].id
        for node in body
        if isinstance(node, ast.Assign)
        if isinstance(node.targets[0], ast.Name)
    }
    return {name for name in names if not name.startswith("_")} - {"logger"}


def imported(source: str) -> set[str]:
    """Return the public names that a module's source imports from the package."""
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


@pytest.mark.parametrize("name", OWN)
def test_a_public_module(name: str) -> None:
    """A public module exports everything that it defines, and nothing else."""
    module = importlib.import_module(name)
    assert list(module.__all__) == sorted(defined(module))


@pytest.mark.parametrize("name", COLLECTED)
def test_a_collecting_module(name: str) -> None:
    """A public module that collects names from others exports all that it imports, and nothing else."""
    module = importlib.import_module(name)
    assert list(module.__all__) == sorted(imported(inspect.getsource(module)))


@pytest.mark.parametrize("name", PUBLIC)
def test_the_public_modules_are_documented(name: str) -> None:
    """The page for plugin authors lists every public module, and each one's docstring says what it is for."""
    page = (ROOT / "docs" / "writing-plugins.md").read_text("utf-8")
    assert f"`{name}`" in page
    assert importlib.import_module(name).__doc__


def test_the_version_is_one() -> None:
    """The package and its metadata have the same version, in the usual form."""
    assert re.fullmatch(r"\d+\.\d+\.\d+", claude_max_proxy.__version__)
    assert importlib.metadata.version("claude-max-proxy") == claude_max_proxy.__version__


def test_the_changelog_knows_the_version() -> None:
    """The newest entry of the changelog is for this version."""
    file = ROOT / "CHANGELOG.md"
    headings = re.findall(r"^## \[?(\d+\.\d+\.\d+)", file.read_text() if file.exists() else "", re.MULTILINE)
    assert headings[:1] in ([], [claude_max_proxy.__version__])


def test_the_package_is_typed() -> None:
    """The type checkers of plugin authors find our types."""
    assert (Path(claude_max_proxy.__file__).parent / "py.typed").is_file()
