"""Where the Pythons of a machine are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.pythons import pythons


OLD, NEW = "3.12", "3.14"


def a_program(folder: Path, name: str, does: str) -> Path:
    """Write a program that stands in for a Python."""
    folder.mkdir(parents=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\n{does}\n", "utf-8")
    program.chmod(0o700)
    return program


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home without Pythons, on a machine that has only the one which runs this."""
    for variable in ("PYENV_ROOT", "UV_PYTHON_INSTALL_DIR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr("sys.base_prefix", str(tmp_path / "system" / "itself"))
    return tmp_path


@pytest.mark.parametrize(
    "below",
    ["bin", "system/other/bin", ".pyenv/versions/3.14.2/bin", ".local/share/uv/python/cpython-3.14/bin"],
)
def test_where_it_may_be(home: Path, below: str) -> None:
    """A Python is found on PATH, next to the one that runs this, and where pyenv and uv keep theirs."""
    assert NEW not in pythons()
    python = a_program(home / below, f"python{NEW}", f"echo {NEW}")
    assert pythons()[NEW] == python


def test_without_a_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What pyenv's shims stand for is found even if HOME is another's."""
    a_program(home / "elsewhere" / "shims", f"python{NEW}", "exit 127")
    python = a_program(home / "elsewhere" / "versions" / "3.14.2" / "bin", f"python{NEW}", f"echo {NEW}")
    monkeypatch.setenv("HOME", str(home / "missing"))
    monkeypatch.setenv("PATH", str(home / "elsewhere" / "shims"))
    assert pythons()[NEW] == python


@pytest.mark.parametrize("does", ["exit 1", f"echo {OLD}"])
def test_what_cannot_be_used(home: Path, does: str) -> None:
    """What does not run, or is another version, is passed over for one that works."""
    a_program(home / "bin", f"python{NEW}", does)
    assert NEW not in pythons()
    python = a_program(home / ".pyenv" / "versions" / "3.14.2" / "bin", f"python{NEW}", f"echo {NEW}")
    assert pythons()[NEW] == python


def test_what_is_no_program(home: Path) -> None:
    """A file that cannot be run is no Python."""
    a_program(home / "bin", f"python{NEW}", "true").chmod(0o600)
    assert NEW not in pythons()
