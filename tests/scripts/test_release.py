"""``make release``, in a copy of the project that nobody else has."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[2]
WHO = {
    "GIT_AUTHOR_NAME": "test",
    "GIT_AUTHOR_EMAIL": "test@example.com",
    "GIT_COMMITTER_NAME": "test",
    "GIT_COMMITTER_EMAIL": "test@example.com",
}


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository of its own that holds what this one holds, committed; tests leave it as it is."""
    listed = run(ROOT, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").stdout
    folder = tmp_path_factory.mktemp("committed")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "all"]):
        assert run(folder, "git", *command).returncode == 0
    return folder


@pytest.fixture
def clone(committed: Path, tmp_path: Path) -> Path:
    """Return a clone that a test may change."""
    assert run(tmp_path, "git", "clone", "--quiet", str(committed), "clone").returncode == 0
    return tmp_path / "clone"


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, as somebody."""
    environment = {**os.environ, **WHO}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=100
    )


def release(clone: Path, version: str) -> subprocess.CompletedProcess[str]:
    """Make a release there."""
    return run(clone, sys.executable, "scripts/release.py", version)


@pytest.mark.slow
def test_a_release(clone: Path) -> None:
    """The changelog is dated, version and tag are equal, both packages are there, and the tree is clean."""
    done = release(clone, "9.8.7")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (clone / "dist").iterdir()) == [
        "claude_max_proxy-9.8.7-py3-none-any.whl",
        "claude_max_proxy-9.8.7.tar.gz",
    ]
    assert f"\n## 9.8.7 - {dt.datetime.now(dt.UTC).date()}\n" in (clone / "CHANGELOG.md").read_text()
    assert '\n__version__ = "9.8.7"\n' in (clone / "claude_max_proxy" / "__init__.py").read_text()
    assert run(clone, "git", "status", "--porcelain").stdout == ""
    assert run(clone, "git", "describe", "HEAD").stdout == "v9.8.7\n"
    again = release(clone, "9.8.7")
    assert again.returncode == 1
    assert "there is a tag v9.8.7 already" in again.stderr


def test_a_dirty_tree(clone: Path) -> None:
    """What is not committed is no part of a release, so there is none, and it is as it was."""
    (clone / "README.md").write_text("changed")
    done = release(clone, "9.8.7")
    assert done.returncode == 1
    assert "not committed:\nM README.md" in done.stderr
    assert run(clone, "git", "tag").stdout == ""
    assert "Unreleased" in (clone / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("version", ["", "v1.0.0", "1.0", "next"])
def test_what_is_no_version(version: str, committed: Path) -> None:
    """A version has three numbers; anything else is refused with an example."""
    done = release(committed, version)
    assert done.returncode == 1
    assert "make release v=1.2.0" in done.stderr


def test_a_failure_on_the_way(clone: Path) -> None:
    """When the packages cannot be built, changelog and version are again as they were."""
    (clone / "pyproject.toml").write_text("[build-system]\nbuild-backend = 'nothing'\nrequires = []\n")
    assert run(clone, "git", "commit", "--all", "--message", "break").returncode == 0
    done = release(clone, "9.8.7")
    assert done.returncode == 1
    assert "build" in done.stderr
    assert run(clone, "git", "status", "--porcelain").stdout == ""
    assert run(clone, "git", "tag").stdout == ""


def test_nothing_to_release(clone: Path) -> None:
    """Without an unreleased section in the changelog there is nothing to release."""
    changelog = clone / "CHANGELOG.md"
    changelog.write_text(changelog.read_text().replace("Unreleased", "2020-01-01"))
    assert run(clone, "git", "commit", "--all", "--message", "release").returncode == 0
    done = release(clone, "9.8.7")
    assert done.returncode == 1
    assert "nothing to release" in done.stderr
