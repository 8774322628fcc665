"""The directory that the CLI works in: private, empty, at the same path if possible, removed at the end."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from claude_max_proxy.backends.claude_cli import directory
from claude_max_proxy.backends.claude_cli.directory import (
    PrivateDirectory,
    remove_leftovers,
    temporary_directory,
)
from claude_max_proxy.errors import BackendUnavailable


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A private temporary directory instead of the system's."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    for name in ("TEMP", "TMP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(directory, "_usual", list)
    return tmp_path


@pytest.fixture
def private(temporary: Path) -> Iterator[PrivateDirectory]:
    """A directory of one proxy, removed at the end."""
    made = PrivateDirectory()
    yield made
    made.remove()


def test_the_same_each_time(temporary: Path, private: PrivateDirectory) -> None:
    """It is empty, private, the same for all proxies of a user and at each start, and removed at the end."""
    path, other = private.path(), PrivateDirectory()
    assert path == temporary / f"claude-max-proxy-{os.getuid()}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert (private.path(), other.path()) == (path, path)

    private.remove()
    assert path.is_dir()  # another proxy uses it
    other.remove()
    assert list(temporary.iterdir()) == []
    assert PrivateDirectory().path() == path


def link(path: Path) -> None:
    """Replace it by a link to another directory."""
    elsewhere = path.parent / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    path.symlink_to(elsewhere)


def full(path: Path) -> None:
    """Put a file in it."""
    path.mkdir(mode=0o700)
    (path / "CLAUDE.md").touch()


def open_to_others(path: Path) -> None:
    """Let other users write to it."""
    path.mkdir()
    path.chmod(0o777)


def another_users(path: Path) -> None:
    """Make a directory that belongs to another user."""
    path.mkdir(mode=0o700)
    os.chown(path, 12345, 12345)


TAKEN: dict[str, Callable[[Path], object]] = {
    "file": Path.touch,
    "link": link,
    "link to nowhere": lambda path: path.symlink_to("nowhere"),
    "not empty": full,
    "open to others": open_to_others,
    "another user's": another_users,
}


@pytest.mark.parametrize("take", TAKEN.values(), ids=TAKEN)
@pytest.mark.parametrize("late", [False, True], ids=["before", "while it runs"])
def test_a_path_that_is_taken(
    take: Callable[[Path], object], late: bool, temporary: Path, private: PrivateDirectory
) -> None:
    """A path that another user could have prepared is not used; a random one is, and removed at the end."""
    if take is another_users and os.getuid() != 0:
        take = open_to_others  # only root can give a file to another user
    usual = temporary / f"claude-max-proxy-{os.getuid()}"
    if late:
        assert private.path() == usual
        usual.rmdir()
    take(usual)
    before = sorted(temporary.iterdir())

    path = private.path()

    assert path != usual
    assert path.parent == temporary
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert list(path.iterdir()) == []
    assert [private.path() for _ in range(3)] == [path] * 3
    private.remove()
    assert sorted(temporary.iterdir()) == before


def test_one_that_vanished(private: PrivateDirectory) -> None:
    """If a clean-up job removes the directory, it is made again, at the same path."""
    path = private.path()
    path.rmdir()
    assert private.path() == path
    assert path.is_dir()


def test_a_temporary_directory_that_vanished(
    temporary: Path, private: PrivateDirectory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """If the system's directory is missing, the next is tried; it is used again when it exists again."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "gone"))
    monkeypatch.setattr(directory, "_usual", lambda: [str(tmp_path / "other")])
    with pytest.raises(BackendUnavailable, match="TMPDIR"):
        private.path()

    (tmp_path / "other").mkdir()
    assert private.path().parent == tmp_path / "other"
    private.remove()
    (tmp_path / "gone").mkdir()
    assert private.path().parent == tmp_path / "gone"


KILLED = """
import os, signal
from pathlib import Path
from claude_max_proxy.backends.claude_cli import directory
from claude_max_proxy.backends.claude_cli.directory import PrivateDirectory, temporary_directory
directory._usual = list
with temporary_directory() as home:
    (home / "secret").write_text("x")
    print(PrivateDirectory().path(), home, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_after_a_kill(temporary: Path, private: PrivateDirectory) -> None:
    """What a killed proxy left is removed at the next start, except what is in use or not ours."""
    usual = temporary / f"claude-max-proxy-{os.getuid()}"
    usual.touch()
    done = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True, check=False)
    left = [Path(word) for word in done.stdout.split()]
    assert len(left) == 2
    assert all(path.is_dir() for path in left), done.stderr
    foreign = temporary / f"claude-max-proxy-{os.getuid()}-link"
    foreign.symlink_to(temporary)
    used = PrivateDirectory()
    path = used.path()
    assert not any(one.exists() for one in left)

    remove_leftovers()

    assert path.is_dir()
    assert foreign.is_symlink()
    used.remove()
    assert sorted(temporary.iterdir()) == sorted([usual, foreign])


def test_a_directory_for_a_while(temporary: Path) -> None:
    """A directory that is needed for a while is removed afterwards, with its content."""
    with temporary_directory() as path:
        (path / "deep").mkdir()
        (path / "deep" / "file").touch()
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENFILE, errno.ENOMEM], ids=errno.errorcode.get)
def test_a_shortage_says_nothing_about_the_directory(
    error: int, private: PrivateDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the system cannot look, that is the problem it names, and the directory stays as it is."""
    path = private.path()

    def refuse(_: Path) -> Iterator[Path]:
        raise OSError(error, os.strerror(error), str(path))

    with monkeypatch.context() as patching:
        patching.setattr(Path, "iterdir", refuse)
        with pytest.raises(BackendUnavailable, match=f"could not be started: {os.strerror(error)}"):
            private.path()
    assert path.is_dir()
    assert private.path() == path
