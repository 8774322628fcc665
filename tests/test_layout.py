"""How the code is laid out: small files, small functions, words at the top of each."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest


ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "claude_max_proxy"
FILES = sorted(PACKAGE.rglob("*.py"))
MAX_LINES = 400
MAX_FUNCTION_LINES = 60
PLUGINS = ("dialects", "backends", "observers")


def name_of(file: Path) -> str:
    """A file's place in the project."""
    return file.relative_to(ROOT).as_posix()


def tree(file: Path) -> ast.Module:
    """A file's syntax."""
    return ast.parse(file.read_text("utf-8"))


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_a_file(file: Path) -> None:
    """A file says at its top what lives there, is short, and so is every function in it."""
    module = tree(file)
    assert ast.get_docstring(module)
    assert len(file.read_text("utf-8").splitlines()) <= MAX_LINES
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < MAX_FUNCTION_LINES, node.name


@pytest.mark.parametrize(
    "file", [file for file in FILES if set(file.relative_to(PACKAGE).parts) & set(PLUGINS)], ids=name_of
)
def test_built_ins_use_the_public_api(file: Path) -> None:
    """Built-in plugins import the package's root, their own folder, and the few parts that are shared."""
    own = ".".join(file.relative_to(ROOT).parent.parts)
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("claude_max_proxy."):
            assert (node.module or "").startswith(
                (own, "claude_max_proxy.tasks", "claude_max_proxy.messages_api")
            ), node.module


@pytest.mark.parametrize("file", sorted((ROOT / "tests").rglob("test_*.py")), ids=name_of)
def test_tests_say_what_they_test(file: Path) -> None:
    """Every test says in its docstring which behaviour it holds on to."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            assert ast.get_docstring(node), node.name
