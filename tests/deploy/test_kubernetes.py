"""The manifests fit Kubernetes' own schemas, in which nothing is allowed that they do not name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


MANIFESTS = sorted((Path(__file__).parents[2] / "deploy" / "kubernetes").glob("*.yaml"))
MANIFESTS = [file for file in MANIFESTS if file.name != "kustomization.yaml"]  # kustomize reads it
CACHE = Path(__file__).parents[2] / ".cache" / "kubernetes-validate"
VERSION = "1.37.0"  # of the package, which has the schemas of this release of Kubernetes and of older ones
OLDEST, NEWEST = "1.25", "1.37"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def program() -> str:
    """Return the path of kubernetes-validate, which is installed into ``.cache`` when it is first used."""
    place = CACHE / VERSION
    found = place / "bin" / "kubernetes-validate"
    if not found.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True, timeout=120)
        install = [str(place / "bin" / "pip"), "--disable-pip-version-check", "--quiet", "install"]
        done = subprocess.run(
            [*install, f"kubernetes-validate=={VERSION}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        if done.returncode:
            pytest.skip(f"kubernetes-validate cannot be installed: {done.stderr[-300:]}")
    return str(found)


def validated(program: str, file: Path, version: str) -> tuple[bool, str]:
    """Return whether a file fits, and what is said of it."""
    command = [program, "--strict", "-k", version, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("file", MANIFESTS, ids=lambda file: file.stem)
def test_the_manifests(program: str, file: Path, version: str) -> None:
    """Every resource is valid, in an old release of Kubernetes and in a new one."""
    fits, said = validated(program, file, version)
    assert fits, said
    assert "passed" in said


@pytest.mark.parametrize("wrong", ["replicas: three # ", "replica: 3 # "])
def test_what_is_wrong_is_found(program: str, tmp_path: Path, wrong: str) -> None:
    """A value of another type and a name that does not exist are refused."""
    (proxy,) = (file for file in MANIFESTS if file.name == "proxy.yaml")
    text = proxy.read_text("utf-8")
    changed = tmp_path / "proxy.yaml"
    changed.write_text(text.replace("replicas: 3 # ", wrong, 1))
    assert changed.read_text() != text
    assert not validated(program, changed, NEWEST)[0]
