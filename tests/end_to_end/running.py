"""The program as a user runs it: a separate process with a private home, watched from outside."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import secrets
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from tests.end_to_end import asking
from tests.measured import MEASURED


START_TIMEOUT = 20.0
STOP_TIMEOUT = 20.0
TOO_LONG = "(a line of more than 64 kB)"
"""What stands in the log for a line, or a piece of one, that nobody could read."""
_ADDRESS = re.compile(r"address +(http://\S+)/v1")
_ACCESS = re.compile(
    r"^[\d:]+ (?:INFO|WARNING) +\[[\w-]+(?: [\w.-]+)?\] (?P<status>\d{3})  [^/\s]\S*  (?P<rest>.*)"
)
_INHERITED = ("PATH", "LANG", "PYTHONPATH")


# Every proxy that was started, in order, so that their requests can be counted at the end.
STARTED: list[RunningProxy] = []


class RunningProxy:
    """`claude-max-proxy serve` from :meth:`start` to :meth:`stop`.

    `home` is its HOME, its working directory is `home/project`, and both are nobody else's: a process whose
    environment names `home` is the proxy or was started by it. `told` says that it writes down when it was
    asked, see `asking`.
    """

    def __init__(self, home: Path, environment: dict[str, str], temporary: Path | None = None) -> None:
        """Prepare; nothing runs before :meth:`start`. Its temporary files go to `temporary`, or its home."""
        self.home = home
        self.work = home / "project"
        self.temporary = temporary or home / "tmp"
        self.url = ""
        self.told = False
        self.printed: list[str] = []
        self.log: list[str] = []
        inherited = MEASURED | {name: os.environ[name] for name in _INHERITED if name in os.environ}
        own = {"HOME": str(home), "TMPDIR": str(self.temporary)}
        self.environment = {**inherited, **own, **environment}
        self._process: asyncio.subprocess.Process | None = None
        self._readers: list[asyncio.Task[None]] = []

    async def start(self, config: str) -> None:
        """Write `config` as proxy.toml, run the program, and wait until it names its address."""
        for folder in (self.work, self.temporary):
            folder.mkdir(parents=True, exist_ok=True)
        if not (self.work / "plugins").exists():
            (self.work / "plugins").mkdir()
            (self.work / "plugins" / "asking.py").write_text(asking.PLUGIN)
            self.told = True
        path = self.work / "proxy.toml"
        path.write_text(config)
        STARTED.append(self)
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "claude_max_proxy", "serve", "--config", str(path), "--port", "0"),
            cwd=self.work,
            env=self.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        loop = asyncio.get_running_loop()
        self._readers = [
            loop.create_task(_collect(self._process.stdout, self.printed)),
            loop.create_task(_collect(self._process.stderr, self.log)),
        ]
        await until(lambda: self._announced() or self.process.returncode is not None, START_TIMEOUT)
        assert self._announced(), self.transcript()

    @property
    def process(self) -> asyncio.subprocess.Process:
        """The proxy's own process."""
        assert self._process is not None
        return self._process

    @property
    def pid(self) -> int:
        """The proxy's process id."""
        return self.process.pid

    def client(self, **options: Any) -> httpx.AsyncClient:
        """Return an HTTP client for this proxy."""
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        return httpx.AsyncClient(base_url=self.url, timeout=60, limits=limits, trust_env=False, **options)

    async def health(self) -> dict[str, Any]:
        """Return the state of the CLI backend."""
        async with self.client() as client:
            return (await client.get("/health")).json()["backends"]["claude"]

    def access(self) -> list[tuple[int, str]]:
        """Return the access log so far: each API request's status, and its line from the model on."""
        found = (_ACCESS.match(line) for line in self.log)
        return [(int(line["status"]), line["rest"]) for line in found if line]

    async def settled(self) -> int:
        """Wait until the log has all that was logged until now; return the number of requests in it."""
        path = f"/{secrets.token_hex(8)}"
        async with self.client() as client:
            await client.get(path)
        assert await until(lambda: any(path in line for line in self.log)), self.transcript()
        return len(self.access())

    def descendants(self) -> list[int]:
        """Return the processes that the proxy started, directly or not, and that have not ended."""
        return [pid for pid in _processes() if pid != self.pid and self._is_ours(pid)]

    def descriptors(self, *, ledger: bool = True) -> int:
        """Count the proxy's open file descriptors, with or without those of the ledger's own files."""
        places = []
        for path in Path(f"/proc/{self.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed since it was listed
                places.append(path.readlink())
        return sum(ledger or not place.name.startswith("ledger.") for place in places)

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """Send the signal, wait for the end, and return the exit status."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            raise AssertionError(f"it did not end within {STOP_TIMEOUT} s\n{self.transcript()}") from None
        finally:
            await asyncio.wait(self._readers, timeout=STOP_TIMEOUT)
        return self.process.returncode or 0

    async def end(self) -> None:
        """Stop it as a service manager does, and check that no process is left."""
        running = self.process.returncode is None
        status = await self.stop()
        if running:
            assert status == 0, self.transcript()
        await until(lambda: not self.descendants(), 2)
        assert self.descendants() == [], "processes outlived the proxy"

    def transcript(self) -> str:
        """Return all that it has written, for an error message."""
        return "\n".join(["--- printed", *self.printed, "--- log", *self.log])

    def _announced(self) -> bool:
        for line in self.printed:
            if found := _ADDRESS.search(line):
                self.url = found[1]
        return bool(self.url)

    def _is_ours(self, pid: int) -> bool:
        return f"HOME={self.home}".encode() in read_environment(pid)


def proxy_toml(command: str | list[str], backend: dict[str, Any], server: dict[str, Any]) -> str:
    """Return a proxy.toml with these settings; JSON's scalars and lists are also valid in TOML."""
    values = {"type": "claude-cli", "command": command, "warm_models": ["sonnet"], **backend}
    tables = [("server", server), ("backends.claude", values)]
    lines = []
    for name, table in tables:
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items()), ""]
    return "\n".join(lines)


async def until(condition: Callable[[], object], within: float = 5.0) -> bool:
    """Wait for a condition, at most this many seconds; return whether it came true."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


def read_environment(pid: int) -> list[bytes]:
    """Return a process's environment as NAME=VALUE; a process that has ended has none."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").glob("[0-9]*")]


async def _collect(stream: asyncio.StreamReader | None, lines: list[str]) -> None:
    assert stream is not None
    while True:
        try:
            line = await stream.readline()
        except ValueError:  # what it writes after that must still be read, or it waits for a reader
            lines.append(TOO_LONG)
            continue
        if not line:
            return
        lines.append(line.decode(errors="replace").rstrip("\n"))
