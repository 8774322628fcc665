"""Checks who else could write, replace or read files that say what we run, or that contain our secrets.

A path is followed component by component, through symbolic links: anybody who can write to a folder on the
way could put another file in its place.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from claude_max_proxy.errors import ConfigError


_MOST_LINKS = 40  # Linux's own limit
# Containers find their secrets here; the container engine makes them readable for all users.
_GIVEN = Path("/run/secrets")
_Step = tuple[Path, os.stat_result]


def refuse_if_writable_by_others(path: Path, what: str) -> None:
    """Raise :class:`ConfigError` if anybody but us and root could change ``path``.

    The message begins with ``what``. Raises ``OSError`` if the file does not exist. On systems other than
    POSIX, nothing else is checked.
    """
    path.stat()
    if os.name != "posix":
        return

    steps = list(_steps(path))
    for step, status in steps[:-1]:
        if problem := _problem(step, status, f", so others could replace {path}"):
            raise ConfigError(f"{what}: {step} {problem}")
    if problem := _problem(*steps[-1], ""):
        raise ConfigError(f"{what}: {steps[-1][0]} {problem}")


def refuse_if_readable_by_others(path: Path, what: str) -> None:
    """Raise :class:`ConfigError` if ``path`` belongs to us and others can read it.

    Others can only read it if they can also pass all folders on the way. Files of other users are accepted,
    since root provides files for whole groups and containers. The message begins with ``what``. Raises
    ``OSError`` if the file does not exist.
    """
    path.stat()
    if os.name != "posix" or _GIVEN in path.parents:
        return

    *folders, (file, status) = _steps(path)
    if status.st_uid == os.getuid() and _open(status, stat.S_IRGRP, stat.S_IROTH):
        passable = (_open(one, stat.S_IXGRP, stat.S_IXOTH) for _, one in folders if stat.S_ISDIR(one.st_mode))
        if all(passable):
            raise ConfigError(
                f"{what}: {file} can be read by others; run: chmod go-r {shlex.quote(str(file))}"
            )


def _problem(path: Path, status: os.stat_result, consequence: str) -> str:
    """Return what is wrong with a step of a path, or an empty text.

    ``consequence`` says what follows from that; it is empty for the last step.
    """
    ours = {0, os.getuid()} | ({_unmapped()} if consequence else set())
    if status.st_uid not in ours:
        return f"belongs to another user{consequence or ', so it is not used'}"
    if stat.S_ISLNK(status.st_mode) or not _open(status, stat.S_IWGRP, stat.S_IWOTH):
        return ""
    if consequence and status.st_mode & stat.S_ISVTX:
        return ""  # as in /tmp: only the owner of the next step, which is checked too, can replace it
    return f"is writable by others{consequence}; run: chmod go-w {shlex.quote(str(path))}"


def _open(status: os.stat_result, group: int, others: int) -> bool:
    """Return whether others have a permission; a group with the owner's number has no other members."""
    if stat.S_ISCHR(status.st_mode):
        return False  # a device such as /dev/null, which contains nothing
    return bool(status.st_mode & others or (status.st_mode & group and status.st_gid != status.st_uid))


def _steps(path: Path) -> Iterator[_Step]:
    """Yield the steps from the root to ``path``: every folder, every link, and the steps to its target."""
    left = list(reversed(path.absolute().parts))
    at, links = Path(left.pop()), 0
    yield at, at.lstat()
    while left:
        name = left.pop()
        if name == "..":
            at = at.parent
            continue
        status = (at / name).lstat()
        yield at / name, status
        if not stat.S_ISLNK(status.st_mode):
            at /= name
            continue

        links += 1
        target = (at / name).readlink()
        if links > _MOST_LINKS or not os.path.lexists(at / target):
            return  # one of the kernel's own links, which do not lead to a path
        left += reversed(target.parts)
        if target.is_absolute():
            at = Path(left.pop())
            yield at, at.lstat()


@cache
def _unmapped() -> int:
    """Return the user to whom the files of all other users, even root's, seem to belong in a user namespace.

    Returns -1 outside of a user namespace, where files have their real owners.
    """
    try:
        mapped = Path("/proc/self/uid_map").read_text("ascii").split()
        return -1 if mapped[:3] == ["0", "0", "4294967295"] else _number("/proc/sys/kernel/overflowuid")
    except (OSError, ValueError):
        return -1


def _number(path: str) -> int:
    return int(Path(path).read_text("ascii"))
