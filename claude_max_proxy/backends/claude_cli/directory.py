"""Directories that only this user's proxies can use: the empty one that the CLI works in, and temporary ones.

Newer CLIs tell the model which directory they work in, and a prompt that changes misses the provider's cache.
So the path is the same at every start and for all proxies of a user. If another user has taken that path, a
random one is used as long as the proxy runs. Each proxy holds a shared lock on the directories it uses. The
system drops the lock when the proxy ends, however it ends, so a directory without a lock is not in use.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import logging
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from claude_max_proxy.errors import BackendUnavailable


try:
    import fcntl
except ImportError:  # Windows has no such locks, so directories are not removed there
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

_TRIES = 5
# With these, the system cannot look at a directory at the moment; they say nothing about the directory.
_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_Remove = Callable[[Path], object]


class PrivateDirectory:
    """The directory that every CLI started by this program works in."""

    def __init__(self) -> None:
        """Prepare; :meth:`path` makes the directory."""
        self._path: Path | None = None
        self._lock: int | None = None

    def path(self) -> Path:
        """Return the directory, which is empty; it is made if it does not exist, or no longer exists.

        Raises :class:`BackendUnavailable` if none can be made.
        """
        try:
            if self._path is not None and _is_fit(self._path, self._lock):
                return self._path
        except OSError as error:
            raise BackendUnavailable(
                f"the Claude Code CLI could not be started: {error.strerror}: {self._path}"
            ) from error

        self.remove()
        problem: OSError | None = None
        remove_leftovers()
        for base in _bases():
            try:
                return self._take(base / _name())
            except OSError as error:
                problem = problem or error
        for base in _bases():
            with contextlib.suppress(OSError):
                path = self._take(Path(tempfile.mkdtemp(prefix=f"{_name()}-", dir=base)))
                logger.warning("%s: the CLI works in %s, which newer ones tell the model", problem, path)
                return path
        raise BackendUnavailable(
            f"the CLI has no directory to work in, as none could be made: {problem}; see whether the disk is "
            "full, and whether TMPDIR can be written to"
        )

    def remove(self) -> None:
        """Remove the directory, unless another proxy also uses it or it is not empty."""
        if self._path is not None:
            _drop(self._path, self._lock, os.rmdir)
        self._path = self._lock = None

    def _take(self, path: Path) -> Path:
        self._lock = _claim(path)
        self._path = path
        return path


_ours = PrivateDirectory()
atexit.register(_ours.remove)


def private_directory() -> Path:
    """Return the empty directory that the CLI works in. Raises :class:`BackendUnavailable`."""
    return _ours.path()


@contextlib.contextmanager
def temporary_directory() -> Iterator[Path]:
    """Make a private directory, which is removed afterwards with what is in it. Raises :class:`OSError`."""
    remove_leftovers()
    base = next((base for base in _bases() if os.access(base, os.W_OK | os.X_OK)), Path(os.devnull))
    path = Path(tempfile.mkdtemp(prefix=f"{_name()}-", dir=base))
    lock = _claim(path)
    try:
        yield path
    finally:
        _drop(path, lock, _remove_tree)


def remove_leftovers() -> None:
    """Remove the directories with random names that killed proxies have left and that nobody has locked."""
    if fcntl is None:
        return

    for base in _bases():
        for path in base.glob(f"{_name()}-*"):
            with contextlib.suppress(OSError):
                _drop(path, _locked(path), _remove_tree)


def _name() -> str:
    owner = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "")
    return f"claude-max-proxy-{owner}"


def _bases() -> list[Path]:
    """Return where temporary directories may be made; this reads the environment each time."""
    named = [os.environ.get(name, "") for name in ("TMPDIR", "TEMP", "TMP")]
    return list(dict.fromkeys(Path(base).absolute() for base in [*named, *_usual()] if base))


def _usual() -> list[str]:
    return ["/tmp", "/var/tmp"] if os.name == "posix" else [tempfile.gettempdir()]  # noqa: S108  # only to look


def _claim(path: Path) -> int | None:
    """Make a directory, or take one that exists if it is ours and empty, and return the lock on it.

    The lock is ``None`` on a system without locks. Raises :class:`OSError` if the path belongs to another
    user, is no directory, is a link, or is not empty.
    """
    for _ in range(_TRIES):
        path.mkdir(mode=0o700, exist_ok=True)
        try:
            lock = _locked(path)
        except (BlockingIOError, FileNotFoundError):  # another proxy is removing it at this moment
            continue
        fit = False
        try:
            fit = _is_fit(path, lock)
        finally:
            if not fit and lock is not None:
                os.close(lock)
        if fit:
            return lock
        if path.is_dir() and any(path.iterdir()):
            raise OSError(f"{path} is not empty")
    raise OSError(f"{path} cannot be had")


def _locked(path: Path) -> int | None:
    """Open a directory of ours with a shared lock, which shows other proxies that it is in use.

    Returns the directory's descriptor, which holds the lock. Raises :class:`OSError` if it is not ours.
    """
    if fcntl is None:
        return None

    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _check_owner(path, lock)
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BaseException:
        os.close(lock)
        raise
    return lock


def _check_owner(path: Path, lock: int) -> None:
    status = os.fstat(lock)
    if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise PermissionError(f"{path} is another user's, or open to others")


def _is_fit(path: Path, lock: int | None) -> bool:
    """Return whether the path is still the directory that the lock is on, and is empty.

    Raises :class:`OSError` if the system lacks what it takes to look.
    """
    try:
        if lock is None:
            return not any(path.iterdir())
        return os.path.samestat(path.lstat(), os.fstat(lock)) and not any(path.iterdir())
    except OSError as error:
        if error.errno in _SHORTAGES:
            raise
        return False


def _drop(path: Path, lock: int | None, remove: _Remove) -> None:
    """Release the lock on a directory; before that, remove the directory if no other proxy uses it."""
    if lock is None:
        return

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(path.lstat(), os.fstat(lock)):
            remove(path)
    except OSError:  # other proxies use it, it is gone, or it is not empty
        pass
    finally:
        os.close(lock)


def _remove_tree(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
