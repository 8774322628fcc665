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
    homes = {
        "PYENV_ROOT": (Path.home() / ".pyenv", "versions/*/bin"),
        "UV_PYTHON_INSTALL_DIR": (Path.home() / ".local/share/uv/python", "*/bin"),
    }
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        yield Path(sys.executable)
    for folder in os.get_exec_path():
        yield Path(folder) / name
    for variable, (default, below) in homes.items():
        home = Path(os.environ.get(variable) or default)
        yield from sorted(home.glob(f"{below}/{name}"), reverse=True)


def _says(path: Path) -> str:
    """Ask an interpreter for its version; empty if it is none. A shim of pyenv's may be there and not run."""
    if not path.is_file():
        return ""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([path, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    return done.stdout.strip()


def environment(name: str, python: Path, *packages: str) -> Path:
    """Make a clean environment with these packages, and return its interpreter. Raises :class:`Failed`."""
    folder = CACHE / name
    shutil.rmtree(folder, ignore_errors=True)
    run(str(python), "-m", "venv", str(folder))
    own = folder / "bin" / "python"
    pip = (str(own), "-m", "pip", "--disable-pip-version-check", "--quiet", "install")
    run(*pip, "--upgrade", "pip>=25.1")
    run(*pip, *packages)
    return own


def run(*command: str, shown: bool = False) -> str:
    """Run a command in the project and return what it prints. Raises :class:`Failed`."""
    output = None if shown else subprocess.PIPE
    done = subprocess.run(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise Failed(f"`{' '.join(command)}` failed:\n{done.stdout or ''}")
    return (done.stdout or "").strip()
