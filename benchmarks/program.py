"""Runs a server as a separate program with its own home directory."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx


INHERITED = ("LANG", "PATH", "TMPDIR")
_START_TIMEOUT = 120.0
_TAIL = 2000


class Program:
    """A server that runs inside of ``with``."""

    def __init__(
        self,
        name: str,
        command: list[str],
        folder: Path,
        environment: dict[str, str],
        health: str = "/health",
    ) -> None:
        """Prepare to run ``command`` plus a port, with a home directory below ``folder``.

        The server is ready when the path ``health`` answers with 200.
        """
        self.name = name
        self.home = folder / name
        self._command = command
        self._environment = environment
        self._health = health

    def __enter__(self) -> Self:
        """Start the server and wait until it is ready. Raises :class:`RuntimeError` with its last output."""
        self.home.mkdir(exist_ok=True)
        self.port = _free_port()
        with (self.home / "output").open("wb") as output:
            self._process = subprocess.Popen(
                [*self._command, str(self.port)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**self._environment, "HOME": str(self.home)},
                cwd=self.home,
                start_new_session=True,
            )
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", trust_env=False)
        self._wait_until_it_serves()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the server and everything that it has started."""
        self.client.close()
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    @property
    def pid(self) -> int:
        """The id of the program's first process."""
        return self._process.pid

    def _wait_until_it_serves(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT
        while True:
            with suppress(httpx.TransportError):
                if self.client.get(self._health).status_code == 200:
                    return
            if time.monotonic() > deadline or self._process.poll() is not None:
                said = (self.home / "output").read_text(errors="replace")[-_TAIL:]
                raise RuntimeError(f"{self.name} did not start; it said:\n{said}")
            time.sleep(0.1)  # noqa: TID251


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
