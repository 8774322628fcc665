"""Tests the project as others run it: on every Python here, with oldest and newest dependencies, as a wheel.

    python -m scripts.matrix [newest] [lowest] [wheel] [pinned] [unbounded] [--python 3.13]

Each environment is a clean one below ``.cache/matrix``. ``newest`` runs the quick lane on each Python with
the newest dependencies, ``lowest`` on the oldest Python with exactly the lower bounds of pyproject.toml, and
``wheel`` builds the wheel, installs it without anything else, and uses what a user uses. Without a word, all
three. ``pinned`` runs the quick lane on each Python but the oldest, on which ``make quick`` runs it.
``unbounded`` is the newest without our upper bounds, to see whether they can be raised.

A new release of a dependency can only break ``newest`` and ``unbounded``: all others use the versions in
constraints.txt for what they do not choose themselves.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
import tomllib
import urllib.request
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from scripts.pins import PINS
from scripts.pythons import CACHE, ROOT, WANTED, Failed, environment, install, pythons, run


_PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = _PYPROJECT["project"]
TEST_GROUP = _PYPROJECT["dependency-groups"]["test"]
QUICK = "not browser and not cli and not postgres and not slow"
PARALLEL = ("--numprocesses", "auto", "--dist", "worksteal")
_DEFAULT = ("newest", "lowest", "wheel")
_FEW = 10  # more failures than that are not the machine's fault
_START_TIMEOUT = 30.0


def lane(python: Path) -> None:
    """Run the quick lane, and what fails a second time, alone: a busy machine can be too slow for it."""
    cache = python.parent.parent / "pytest"
    pytest = (str(python), "-m", "pytest", "-q", "-o", f"cache_dir={cache}", "-m", QUICK)
    try:
        run(*pytest, *PARALLEL, shown=True)
    except Failed:
        failed = cache / "v" / "cache" / "lastfailed"
        if not failed.exists() or len(json.loads(failed.read_text("utf-8"))) > _FEW:
            raise
        run(*pytest, "--last-failed", "--last-failed-no-failures=none", "-v", shown=True)


def newest(version: str, python: Path) -> None:
    """Run the quick lane with the newest dependencies."""
    lane(environment(f"{version}-newest", python, "--editable", ".", "--group", "test"))


def pinned(version: str, python: Path) -> None:
    """Run the quick lane with the versions in constraints.txt."""
    packages = ("--editable", ".", "--group", "test", "--constraint", str(PINS))
    lane(environment(f"{version}-pinned", python, *packages))


def lowest(version: str, python: Path) -> None:
    """Run the quick lane with each of our own dependencies at its lower bound."""
    CACHE.mkdir(parents=True, exist_ok=True)
    constraints = CACHE / "lowest.txt"
    constraints.write_text("\n".join([*lower_bounds(), *_pins_of_tests()]) + "\n", "utf-8")
    packages = ("--editable", ".", "--group", "test", "--constraint", str(constraints))
    lane(environment(f"{version}-lowest", python, *packages))


def unbounded(version: str, python: Path) -> None:
    """Run the quick lane with the newest of everything, also of what we hold back."""
    requirements = [Requirement(line) for line in PROJECT["dependencies"]]
    for requirement in requirements:
        requirement.specifier = SpecifierSet()
    own = environment(f"{version}-unbounded", python, *map(str, requirements), "--group", "test")
    install(own, "--no-deps", "--editable", ".")
    lane(own)


def lower_bounds() -> list[str]:
    """Return a constraint for each dependency that says at least which version it needs, as all must."""
    found = []
    for line in PROJECT["dependencies"]:
        requirement = Requirement(line)
        (bound,) = (one.version for one in requirement.specifier if one.operator == ">=")
        marker = f" ; {requirement.marker}" if requirement.marker else ""
        found.append(f"{requirement.name}=={bound}{marker}")
    return found


def _pins_of_tests() -> list[str]:
    """Return the lines of constraints.txt for what only the tests need.

    What our dependencies need themselves must be free to be as old as they are. So must Schemathesis, whose
    newer versions do not take an old jsonschema-rs.
    """
    free = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]} | {"schemathesis"}
    wanted = {canonicalize_name(Requirement(line).name) for line in TEST_GROUP} - free
    lines = [line for line in PINS.read_text("utf-8").splitlines() if not line.startswith("#")]
    return [line for line in lines if Requirement(line).name in wanted]


def wheel(version: str, python: Path) -> None:
    """Build the wheel, install it alone, and use it: its version, its configuration, an answer over HTTP."""
    built = CACHE / "dist"
    shutil.rmtree(built, ignore_errors=True)
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(built), str(ROOT))
    (package,) = built.glob("*.whl")
    own = environment(f"{version}-wheel", python, str(package), "--constraint", str(PINS))
    program = str(own.with_name("claude-max-proxy"))
    said = run(program, "--version")
    expected = package.name.split("-")[1]
    if expected not in said:
        raise Failed(f"`claude-max-proxy --version` says {said!r}, and the wheel is of {expected}")
    config = CACHE / "proxy.toml"
    config.write_text('[backends.mirror]\ntype = "openai"\nbase_url = "http://127.0.0.1:9/v1"\n', "utf-8")
    run(program, "config", "check", "--config", str(config))
    _serve(program, config)


def _serve(program: str, config: Path) -> None:
    """Start the program, and ask it how it is."""
    command = [program, "serve", "--config", str(config), "--port", "0"]
    with subprocess.Popen(
        command, cwd=CACHE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            url = _address(process)
            with urllib.request.urlopen(f"{url}/health", timeout=_START_TIMEOUT) as answer:
                health = json.load(answer)
            if "version" not in health:
                raise Failed(f"/health says {health}")
        finally:
            process.terminate()


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if "http://" in line:
            return "http://" + line.partition("http://")[2].split()[0].removesuffix("/v1")
    raise Failed("the installed program ended before it named its address")


KINDS = {"newest": newest, "lowest": lowest, "wheel": wheel, "pinned": pinned, "unbounded": unbounded}


def main() -> int:
    """Run what the arguments name, and say how each went; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "kinds", nargs="*", metavar="KIND", help=f"{', '.join(KINDS)}; by default the first three"
    )
    parser.add_argument("--python", choices=WANTED, help="use this version only")
    given = parser.parse_args()
    if unknown := set(given.kinds) - set(KINDS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
    wanted = [given.python] if given.python else list(WANTED)
    there = {version: path for version, path in pythons().items() if version in wanted}
    outcomes = [f"Python {version}: not found on this machine" for version in wanted if version not in there]
    worked = bool(there)
    for kind in given.kinds or _DEFAULT:
        for version in _versions(kind, list(there)):
            outcome = _outcome(kind, version, there[version])
            outcomes.append(outcome)
            worked = worked and "FAILED" not in outcome
    print("", *outcomes, sep="\n")
    return 0 if worked else 1


def _versions(kind: str, there: list[str]) -> list[str]:
    """Return on which of the Pythons here a kind runs."""
    match kind:
        case "newest":
            return there
        case "pinned":
            return [version for version in there if version != WANTED[0]]
        case _:
            return there[:1]


def _outcome(kind: str, version: str, python: Path) -> str:
    began = time.monotonic()
    print(f"--- {kind} on Python {version}", flush=True)
    try:
        KINDS[kind](version, python)
    except Failed as problem:
        print(problem)
        return f"Python {version}, {kind}: FAILED"
    return f"Python {version}, {kind}: passed in {time.monotonic() - began:.0f} s"


if __name__ == "__main__":
    sys.exit(main())
