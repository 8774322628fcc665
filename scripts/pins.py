"""Writes constraints.txt: the versions that developers use, so that no new release breaks the checks.

    python -m scripts.pins

lets pip choose the newest version of every package that our ranges allow, on each Python of this machine, and
installs nothing. Where Pythons need different versions, a marker says which is for which. A package that is
not in the file, such as a new dependency, is installed in its newest version. Users' installations do not
read the file.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from packaging.utils import canonicalize_name

from scripts.pythons import CACHE, ROOT, Failed, pythons, run


PINS = ROOT / "constraints.txt"
_HEAD = "# The versions that `make` installs for developers. `make pins` writes this file; do not edit it.\n"
_NAME = "claude-max-proxy"

Versions = dict[str, str]


def chosen(version: str, python: Path) -> Versions:
    """Return the version of each package that pip would install on this Python. Raises :class:`Failed`."""
    CACHE.mkdir(parents=True, exist_ok=True)
    report = CACHE / f"{version}-pins.json"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "--python", str(python))
    what = ("--editable", ".", "--group", "dev")
    run(*pip, "install", "--dry-run", "--ignore-installed", "--report", str(report), *what)
    packages = [entry["metadata"] for entry in json.loads(report.read_text("utf-8"))["install"]]
    versions = {canonicalize_name(package["name"]): str(package["version"]) for package in packages}
    return {name: found for name, found in versions.items() if name != _NAME}


def lines(choices: Mapping[str, Versions]) -> list[str]:
    """Return a line for each package; ``choices`` are the versions on each Python, the oldest first."""
    names = sorted({name for versions in choices.values() for name in versions})
    return [line for name in names for line in _lines_of(name, choices)]


def _lines_of(name: str, choices: Mapping[str, Versions]) -> list[str]:
    pythons = [python for python, versions in choices.items() if name in versions]
    groups = itertools.groupby(pythons, lambda python: choices[python][name])
    spans = [(version, next(same)) for version, same in groups]
    found = []
    for index, (version, first) in enumerate(spans):
        bounds = [f'python_version >= "{first}"'] if index else []
        bounds += [f'python_version < "{spans[index + 1][1]}"'] if index + 1 < len(spans) else []
        found.append(f"{name}=={version}" + (f" ; {' and '.join(bounds)}" if bounds else ""))
    return found


def main() -> int:
    """Write the file, and say for which Pythons; return the exit status."""
    there = pythons()
    try:
        choices = {version: chosen(version, path) for version, path in there.items()}
    except Failed as problem:
        print(problem)
        return 1
    found = lines(choices)
    PINS.write_text(_HEAD + "\n".join(found) + "\n", "utf-8")
    print(f"constraints.txt names {len(found)} versions, for Python {', '.join(there)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
