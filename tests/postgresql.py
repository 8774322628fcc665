"""A real PostgreSQL server for tests, in a directory of its own, reached by a Unix socket only."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path


_START_TIMEOUT = 60  # seconds
_NOBODY = "postgres"  # whom Debian's package adds; the server does not run as root


class PostgreSQL:
    """A running server, to which nobody needs a password."""

    def __init__(self, folder: Path) -> None:
        """Remember the folder that holds its data and its socket."""
        self.folder = folder
        self._databases = 0

    def new_database(self) -> str:
        """Create an empty database and return its URL."""
        self._databases += 1
        name = f"ledger_{self._databases}"
        _run("createdb", "-h", str(self.folder), "-U", "owner", name)
        return f"postgresql://owner@/{name}?host={self.folder}"

    def stop(self) -> None:
        """End the server, as a power cut would end its clients."""
        _run("pg_ctl", "stop", "-D", str(self.folder / "data"), "-m", "immediate", "-w")

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        settings = f"-c listen_addresses='' -c unix_socket_directories='{self.folder}' -c fsync=off"
        log = str(self.folder / "log")
        _run("pg_ctl", "start", "-D", str(self.folder / "data"), "-w", "-l", log, "-o", settings)


@cache
def missing() -> str:
    """Return why no server can be started here; empty if one can."""
    if _binaries() is None:
        return "there is no PostgreSQL here (Debian's package `postgresql`)"
    if os.name != "posix":
        return "the server is reached by a Unix socket"
    if os.getuid() == 0:
        import pwd

        try:
            pwd.getpwnam(_NOBODY)
        except KeyError:
            return f"PostgreSQL does not run as root, and there is no user {_NOBODY!r}"
    return ""


@contextlib.contextmanager
def postgresql() -> Iterator[PostgreSQL]:
    """Start a server, and end it at the end."""
    # A socket's path must be short, and the server's user must reach it.
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    folder.chmod(0o755)
    if os.getuid() == 0:
        shutil.chown(folder, _NOBODY)
    server = PostgreSQL(folder)
    try:
        _run("initdb", "-D", str(folder / "data"), "-U", "owner", "-A", "trust", "-E", "UTF8", "--no-sync")
        server.start()
        yield server
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path | None:
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    folders = [*reversed(debian), *map(Path, os.get_exec_path())]
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


def _run(program: str, *arguments: str) -> None:
    folder = _binaries()
    assert folder is not None  # see `missing`
    user = _NOBODY if os.getuid() == 0 else None
    subprocess.run(
        [folder / program, *arguments],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=_START_TIMEOUT,
        user=user,
        cwd="/",
    )
