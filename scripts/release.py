"""Makes a release here: dates the changelog, sets the version, builds and checks the packages, commits, tags.

    python scripts/release.py 1.2.0

Nothing is uploaded or pushed. Whatever goes wrong, the tree is again as it was.
"""

from __future__ import annotations

import datetime as dt
import email
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


ROOT = Path(__file__).resolve().parent.parent
VERSIONED = ROOT / "claude_max_proxy" / "__init__.py"
CHANGELOG = ROOT / "CHANGELOG.md"
DIST = ROOT / "dist"
_VERSION = re.compile(r'^__version__ = "([^"]*)"$', re.MULTILINE)
_UNRELEASED = re.compile(r"^## (\S+) - Unreleased$", re.MULTILINE)


class Refused(Exception):
    """Why there is no release."""


def release(version: str) -> None:
    """Make the release ``version``, in the working tree and in Git. Raises :class:`Refused`."""
    check(version)
    with restored():
        replace(CHANGELOG, _UNRELEASED, f"## {version} - {dt.datetime.now(dt.UTC).date()}")
        replace(VERSIONED, _VERSION, f'__version__ = "{version}"')
        packages = build()
        if found := {name for name in map(version_of, packages) if name != version}:
            raise Refused(f"the packages say that they are of version {', '.join(sorted(found))}")
        run(sys.executable, "-m", "twine", "check", "--strict", *map(str, packages))
        run("git", "commit", "--quiet", "--message", f"Release {version}", str(CHANGELOG), str(VERSIONED))
    run("git", "tag", "--annotate", f"v{version}", "--message", f"Release {version}")
    print(f"{version} is built in {DIST.relative_to(ROOT)}/, committed, and tagged v{version}; nothing was")
    print("uploaded. To publish it: `git push --follow-tags`, then `twine upload dist/*`")


def check(version: str) -> None:
    """Raise :class:`Refused` unless there can be a release of this version from what is committed."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise Refused(f"{version!r} is no version: say it like `make release v=1.2.0`")
    if changed := run("git", "status", "--porcelain"):
        raise Refused(f"there are changes that are not committed:\n{changed}")
    if run("git", "tag", "--list", f"v{version}"):
        raise Refused(f"there is a tag v{version} already")
    if not _UNRELEASED.search(CHANGELOG.read_text("utf-8")):
        raise Refused("CHANGELOG.md has no section `## VERSION - Unreleased`, so there is nothing to release")


@contextmanager
def restored() -> Iterator[None]:
    """Put the two files back if what is done meanwhile fails."""
    before = {path: path.read_bytes() for path in (CHANGELOG, VERSIONED)}
    try:
        yield
    except BaseException:
        for path, content in before.items():
            path.write_bytes(content)
        raise


def replace(path: Path, pattern: re.Pattern[str], line: str) -> None:
    """Replace the first line of a file that matches."""
    text, count = pattern.subn(line, path.read_text("utf-8"), count=1)
    if not count:
        raise Refused(f"{path.relative_to(ROOT)} has no line like {pattern.pattern}")
    path.write_text(text, "utf-8")


def build() -> list[Path]:
    """Build the source package, and the wheel from that, into an empty ``dist``; return both."""
    shutil.rmtree(DIST, ignore_errors=True)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(DIST), str(ROOT))
    return sorted(DIST.iterdir())


def version_of(package: Path) -> str:
    """Return the version that a package's metadata says."""
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as wheel:
            (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
            written = wheel.read(name)
    else:
        with tarfile.open(package) as archive:
            member = archive.extractfile(f"{package.name.removesuffix('.tar.gz')}/PKG-INFO")
            assert member is not None
            written = member.read()
    return str(email.message_from_bytes(written)["Version"])


def run(*command: str) -> str:
    """Run a command in the project, and return what it prints. Raises :class:`Refused` when it fails."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(f"`{' '.join(command)}` failed:\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def main(arguments: list[str]) -> int:
    """Make the release that the arguments name; return the exit status."""
    try:
        release(arguments[0] if arguments else "")
    except Refused as refused:
        print(refused, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
