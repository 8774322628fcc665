"""Finds the Pythons of this machine, and makes clean environments with them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path


ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "matrix"
WANTED = ("3.11", "3.12", "3.13", "3.14")
"""The versions that we support, the oldest first."""


class Failed(Exception):
    """What did not work, and what it printed."""


def pythons() -> dict[str, Path]:
    """Find an interpreter for each version that we support, the oldest first."""
    found = {}
    for version in WANTED:
        for path in _candidates(version):
            if _says(path) == version:
                found[version] = path
                break
    return found


def _candidates(version: str) -> Iterator[Path]:
    name = f"python{version}"
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        yield Path(sys.executable)
    for folder in os.get_exec_path():
        yield Path(folder) / name
    for home in _homes():
        yield from sorted(home.glob(f"*/bin/{name}"), reverse=True)


def _homes() -> Iterator[Path]:
    """Return the folders in which programs like pyenv and uv keep Pythons, one in each folder below."""
    yield Path(sys.base_prefix).parent  # where this Python is, whatever HOME and PATH are
    for folder in map(Path, os.get_exec_path()):
        if folder.name == "shims":
            yield folder.parent / "versions"
    home = Path(os.path.expanduser("~"))  # noqa: PTH111  # Path.home() fails where there is no home
    yield Path(os.environ.get("PYENV_ROOT") or home / ".pyenv") / "versions"
    yield Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or home / ".local/share/uv/python")


def _says(path: Path) -> str:
    """Ask an interpreter for its version; empty if it is none that can be used.

    A shim of pyenv's may be there and not run, and a Python may have been built without a part that we need.
    """
    if not path.is_file():
        return ""
    code = "import sqlite3, ssl, sys, venv; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([path, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def environment(name: str, python: Path, *packages: str) -> Path:
    """Make a clean environment with these packages, and return its interpreter. Raises :class:`Failed`."""
    folder = CACHE / name
    shutil.rmtree(folder, ignore_errors=True)
    run(str(python), "-m", "venv", str(folder))
    own = folder / "bin" / "python"
    install(own, *packages)
    return own


def install(python: Path, *packages: str) -> None:
    """Let our own pip, which is new enough, install packages for another Python. Raises :class:`Failed`."""
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "--python", str(python))
    run(*pip, "install", "--no-compile", *packages)


def run(*command: str, shown: bool = False) -> str:
    """Run a command in the project and return what it prints. Raises :class:`Failed`."""
    output = None if shown else subprocess.PIPE
    done = subprocess.run(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise Failed(f"`{' '.join(command)}` failed:\n{done.stdout or ''}")
    return (done.stdout or "").strip()
