"""How the code is laid out: small files, small functions, a docstring at the top of each."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.test_exports import PUBLIC, exported


ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "claude_max_proxy"
FILES = sorted(PACKAGE.rglob("*.py"))
MAX_LINES = 380
TESTS = sorted((ROOT / "tests").rglob("*.py"))
MAX_TEST_LINES = 400
MAX_FUNCTION_LINES = 40
PLUGINS = ("dialects", "backends", "observers")
BUILT_INS = [file for file in FILES if set(file.relative_to(PACKAGE).parts) & set(PLUGINS)]
BUILT_INS.append(PACKAGE / "gateway" / "model_map.py")


def name_of(file: Path) -> str:
    """Return a file's path in the project."""
    return file.relative_to(ROOT).as_posix()


def tree(file: Path) -> ast.Module:
    """Return a file's syntax tree."""
    return ast.parse(file.read_text("utf-8"))


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_a_file(file: Path) -> None:
    """A file has a docstring at its top, is short, and so is every function in it."""
    module = tree(file)
    assert ast.get_docstring(module)
    assert len(file.read_text("utf-8").splitlines()) <= MAX_LINES
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < MAX_FUNCTION_LINES, node.name


def test_files_of_tests_are_short() -> None:
    """A file of tests is about one thing, too."""
    assert TESTS
    long = {name_of(file) for file in TESTS if len(file.read_text("utf-8").splitlines()) > MAX_TEST_LINES}
    assert not long


def module_of(file: Path) -> str:
    """Return the name by which a file is imported."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(file: Path) -> Iterator[str]:
    """Return the modules of the package that a file imports anywhere, also for types or inside a function."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from names & MODULES
            if names - MODULES:
                yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


MODULES = {module_of(file) for file in FILES}


def test_no_circles() -> None:
    """No module imports itself by way of others: ``prepare`` raises an error that names the circle."""
    graph = {module_of(file): set(imports(file)) & MODULES for file in FILES}
    assert sum(map(len, graph.values())) > len(graph)
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("file", BUILT_INS, ids=name_of)
def test_built_ins_use_the_public_api(file: Path) -> None:
    """Built-in plugins import only their own folder and public modules, like any other plugin."""
    own = ".".join(file.relative_to(ROOT).parent.parts)
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.ImportFrom) and node.module != "claude_max_proxy":
            module = node.module or ""
            assert module in PUBLIC or not module.startswith("claude_max_proxy") or module.startswith(own), (
                module
            )
            assert module not in PUBLIC or {alias.name for alias in node.names} <= exported(module)


@pytest.mark.parametrize("file", sorted((ROOT / "tests").rglob("test_*.py")), ids=name_of)
def test_tests_say_what_they_test(file: Path) -> None:
    """Every test has a docstring that states the behaviour it checks."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            assert ast.get_docstring(node), node.name
