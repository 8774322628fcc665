"""Installs clients from npm and PyPI, each into its own folder below `.cache/clients`."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from scripts.pythons import pythons
from tests.clients.client import FOLDER, Client
from tests.installed_cli import ROOT


CACHE = ROOT / ".cache" / "clients"
VERSIONS: dict[str, dict[str, Any]] = tomllib.loads((FOLDER / "versions.toml").read_text("utf-8"))
_TIMEOUT = 1800
_NODE_ARCHITECTURES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}

Say = Callable[[str], None]


@dataclass(frozen=True)
class Installed:
    """A client that can be run: its version, where its packages are, and where its commands are."""

    version: str
    folder: Path
    commands: Path

    def command(self, name: str) -> str:
        """Return the path of one of its commands, else of the machine's; raise RuntimeError without either.

        A path is itself.
        """
        found = shutil.which(name, path=f"{self.commands}{os.pathsep}{os.environ.get('PATH', '')}")
        if found is None:
            raise RuntimeError(f"{name} is needed and was not found on PATH")
        return found


def install(client: Client, say: Say, *, latest: bool = False) -> Installed:
    """Install a client, or find it installed. Raises RuntimeError that says why it cannot be had."""
    wanted = VERSIONS.get(client.name, {})
    folder = CACHE / (f"{client.name}-latest" if latest else client.name)
    if "npm" in wanted:
        scripts = tuple(wanted.get("scripts", ()))
        return _from_npm(folder, _packages(wanted, latest=latest), say, scripts, latest=latest)
    if "pip" in wanted:
        packages = _packages(wanted, latest=latest)
        return _from_pypi(folder, packages, say, python=wanted.get("python", ""), latest=latest)
    if "machine" in wanted:
        return _from_machine(folder, *wanted["machine"])
    return Installed("", folder, folder)


def here(client: Client) -> Installed:
    """Take a client's packages from the environment that runs this."""
    package = _bare(next(iter(VERSIONS[client.name]["pip"])))
    return Installed(version(package), Path(sys.prefix), Path(sys.executable).parent)


def _packages(wanted: dict[str, Any], *, latest: bool) -> dict[str, str]:
    """Return each package's name and version, an empty one for the newest."""
    packages = dict(wanted.get("npm") or wanted["pip"])
    if "node" in wanted:
        packages[_node_package()] = wanted["node"]
    return dict.fromkeys(packages, "") if latest else packages


def _node_package() -> str:
    """Name the npm package that is nothing but Node, for this machine."""
    architecture = _NODE_ARCHITECTURES.get(platform.machine().lower(), platform.machine())
    return f"node-{sys.platform}-{architecture}"


def _from_npm(
    folder: Path, packages: dict[str, str], say: Say, scripts: tuple[str, ...], *, latest: bool
) -> Installed:
    """Install from npm; only the packages in `scripts` may run their install scripts."""
    modules = folder / "node_modules"
    specifiers = [f"{name}@{wanted or 'latest'}" for name, wanted in packages.items()]
    if latest or not _is_stamped(folder, specifiers):
        say(f"installing {' '.join(specifiers)} into {folder.relative_to(ROOT)}")
        npm = shutil.which("npm")
        if npm is None:
            raise RuntimeError("npm is needed to install it")
        folder.mkdir(parents=True, exist_ok=True)
        options = ["--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder)]
        _run([npm, "install", *options, *specifiers])
        if scripts:
            _run([npm, "rebuild", "--prefix", str(folder), *_headers(modules), *scripts])
        _stamp(folder, specifiers)
    first = modules / next(iter(packages)) / "package.json"
    return Installed(msgspec.json.decode(first.read_bytes())["version"], folder, modules / ".bin")


def _headers(modules: Path) -> list[str]:
    """Return where node-gyp finds the headers of a client's own Node, without which it downloads them."""
    node = modules / _node_package()
    return [f"--nodedir={node}"] if node.exists() else []


def _from_pypi(folder: Path, packages: dict[str, str], say: Say, *, python: str, latest: bool) -> Installed:
    specifiers = [f"{name}=={wanted}" if wanted else name for name, wanted in packages.items()]
    commands = folder / ("Scripts" if os.name == "nt" else "bin")
    own = commands / "python"
    if latest or not _is_stamped(folder, specifiers):
        say(f"installing {' '.join(specifiers)} into {folder.relative_to(ROOT)}")
        if not own.exists():
            _run([_interpreter(python), "-m", "venv", str(folder)])
        options = ["--disable-pip-version-check", "--quiet", "install", "--upgrade"]
        _run([str(own), "-m", "pip", *options, *specifiers])
        _stamp(folder, specifiers)
    ask = f"from importlib.metadata import version; print(version({_bare(next(iter(packages)))!r}))"
    return Installed(_run([str(own), "-c", ask]).strip(), folder, commands)


def _interpreter(version: str) -> str:
    """Return a Python of this version, the one that runs this where none is wanted."""
    found = pythons() if version else {"": Path(sys.executable)}
    if version not in found:
        raise RuntimeError(f"Python {version} is needed to install it")
    return str(found[version])


def _from_machine(folder: Path, command: str, option: str) -> Installed:
    """Take a client that the machine must have: nothing is installed for it."""
    if shutil.which(command) is None:
        raise RuntimeError(f"{command} is needed and was not found on PATH")
    found = re.search(r"\d+(?:\.\d+)*", _run([command, option]))
    return Installed(found[0] if found else "", folder, folder)


def _bare(package: str) -> str:
    """Return a package's name without its extras."""
    return re.sub(r"\[.*", "", package)


def _is_stamped(folder: Path, specifiers: list[str]) -> bool:
    stamp = folder / ".installed"
    return stamp.exists() and stamp.read_text("utf-8").split() == specifiers


def _stamp(folder: Path, specifiers: list[str]) -> None:
    (folder / ".installed").write_text("\n".join(specifiers), "utf-8")


def _run(arguments: list[str]) -> str:
    try:
        done = subprocess.run(
            arguments, capture_output=True, check=False, text=True, timeout=_TIMEOUT, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RuntimeError(f"{arguments[0]} failed: {error}") from error
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line and not line.startswith("WARNING")]
        raise RuntimeError(f"{Path(arguments[0]).name} failed: {' '.join(said[-3:])[:400]}")
    return done.stdout
