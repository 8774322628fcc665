"""A real HAProxy for tests, with the configuration in `deploy/haproxy.cfg`, on loopback."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path


CONFIG = Path(__file__).parents[1] / "deploy" / "haproxy.cfg"
_START_TIMEOUT, _STOP_TIMEOUT = 20.0, 5.0
_SERVER = re.compile(r"^    server (\S+) \S+ (.*)$", re.MULTILINE)
_BIND = re.compile(r"^    bind :3456$", re.MULTILINE)


class HAProxy:
    """A running HAProxy: ``port`` is where clients reach it, ``log`` the file of what it says."""

    def __init__(self, port: int, pid: int, log: Path, socket: Path) -> None:
        """Remember where it is; in another network namespace, it is reached by a Unix socket."""
        self.port = port
        self.socket = socket
        self.pid = pid
        self.url = f"http://127.0.0.1:{port}"
        self.log = log


@cache
def program() -> str:
    """Return the path of HAProxy; empty if there is none."""
    found = shutil.which("haproxy") or "/usr/sbin/haproxy"
    return found if Path(found).exists() else ""


def missing() -> str:
    """Return why no HAProxy can be started here; empty if one can."""
    return "" if program() else "there is no HAProxy here (Debian's package `haproxy`)"


def free_port() -> int:
    """Return a port of loopback that nobody uses at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def written(replicas: Mapping[str, str], port: int, place: str = "") -> str:
    """Return the configuration for these replicas, addresses by names, with HAProxy on a port of loopback.

    With a ``place``, HAProxy listens there instead.

    All names must be among those in the file. The servers of other names are left out.
    """

    def server(line: re.Match[str]) -> str:
        place = replicas.get(line[1])
        return f"    server {line[1]} {place} {line[2]}" if place else ""

    text = CONFIG.read_text("utf-8")
    assert set(replicas) <= {line[1] for line in _SERVER.finditer(text)}
    text, bound = _BIND.subn(f"    bind {place or f'127.0.0.1:{port}'}", text)
    assert bound == 1
    return _SERVER.sub(server, text)


def check(text: str) -> str:
    """Return what HAProxy finds wrong with a configuration; empty if nothing."""
    with tempfile.NamedTemporaryFile("w", suffix=".cfg") as file:
        file.write(text)
        file.flush()
        done = subprocess.run(
            [program(), "-c", "-q", "-f", file.name],
            capture_output=True,
            check=False,
            text=True,
            timeout=_START_TIMEOUT,
        )
    return done.stdout + done.stderr if done.returncode or done.stderr else ""


@contextlib.contextmanager
def haproxy(replicas: Mapping[str, str], inside: Sequence[str] = ()) -> Iterator[HAProxy]:
    """Start HAProxy for these replicas, and end it at the end.

    ``inside`` are the words before its command that lead to another network namespace.
    """
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="haproxy-") as folder:
        file, log = Path(folder) / "haproxy.cfg", Path(folder) / "log"
        path = Path(folder) / "clients"
        file.write_text(written(replicas, port, f"unix@{path}" if inside else ""), "utf-8")
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*inside, program(), "-db", "-f", file],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            _wait(process, path if inside else port, log)
            yield HAProxy(port, process.pid, log, path)
        finally:
            process.terminate()
            try:
                process.wait(_STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(_STOP_TIMEOUT)


def _wait(process: subprocess.Popen[bytes], place: int | Path, log: Path) -> None:
    """Wait until it listens."""
    end = time.monotonic() + _START_TIMEOUT
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"HAProxy ended by itself:\n{log.read_text(errors='replace')}")
        with contextlib.suppress(OSError), _connected(place):
            return
        time.sleep(0.02)  # noqa: TID251  # only while a test starts
    raise RuntimeError(f"HAProxy does not listen:\n{log.read_text(errors='replace')}")


def _connected(place: int | Path) -> socket.socket:
    if isinstance(place, int):
        return socket.create_connection(("127.0.0.1", place), 1)
    made = socket.socket(socket.AF_UNIX)
    try:
        made.connect(str(place))
    except OSError:
        made.close()
        raise
    return made
