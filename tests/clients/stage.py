"""Where a client is run: scripted provider, real CLI, real proxy, and a home of the client's own."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import signal
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

from claude_max_proxy.testing import ScriptedUpstream
from tests.clients.client import FOLDER, Api, Client
from tests.clients.installing import Installed
from tests.clients.program import Program
from tests.end_to_end.running import RunningProxy, proxy_toml, read_environment, until
from tests.installed_cli import ROOT


ADDRESS = "http://127.0.0.1:3456"
NOWHERE = "http://127.0.0.1:9"
"""What a client is told to reach the rest of the world by: nobody listens there."""
_END = 10.0
# If the proxy has logged nothing for this many seconds, it has logged everything.
_QUIET = 0.2
_MARK = "CLAUDE_MAX_PROXY_CLIENT"
# The command that runs a client's program, by the file's suffix.
_RUNS = {".mjs": "node", ".py": "python", ".java": "java"}
_HARNESSES = ("harness.py", "harness.mjs", "tools.py")


@dataclass(frozen=True)
class Output:
    """What a command printed, and the status it ended with."""

    status: int
    printed: str
    errors: str


class Stage:
    """A client with everything it needs, from `async with` to its end.

    `home` is the client's HOME; `work`, its working directory, holds its files, in which the proxy's address
    stands where the pages have the usual one. `until_end` closes at the end what checks share, before the
    proxy ends.
    """

    proxy: RunningProxy

    def __init__(
        self, client: Client, installed: Installed, cli: str, folder: Path, host: Stage | None = None
    ) -> None:
        """Prepare, in an empty folder; nothing runs yet. A `host` shares its provider and its proxy."""
        self.client = client
        self.installed = installed
        self.upstream: ScriptedUpstream = host.upstream if host else ScriptedUpstream()
        self._host = host
        self.home = folder / "home"
        self.work = self.home / "work"
        self.said: list[str] = []
        self.api: Api = "chat"
        self.cli = cli
        self._folder = folder
        self.until_end = AsyncExitStack()
        self._programs: dict[str, Program] = {}
        self._before = 0
        self._marks: dict[int, str] = {}
        self._numbers = itertools.count()

    async def __aenter__(self) -> Self:
        """Start the provider and the proxy, and lay out the client's files."""
        if self._host is not None:
            self.proxy = self._host.proxy
            self._lay_out()
            return self

        await self.upstream.__aenter__()
        self.proxy = RunningProxy(self._folder / "proxy", self._subscription())
        self.proxy.work.mkdir(parents=True)
        (self.proxy.work / "plugins").symlink_to(ROOT / "plugins")
        settings = self.client.folder / "proxy.toml"
        more = settings.read_text("utf-8") if settings.exists() else ""
        await self.proxy.start(proxy_toml(self.cli, {}, {}) + more)
        self._lay_out()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the client's programs, the proxy and the provider."""
        try:
            await self.until_end.aclose()
            for program in self._programs.values():
                await program.end()
            if self._host is None:
                await self.proxy.end()
        finally:
            if self._host is None:
                await self.upstream.__aexit__(kind, error, traceback)

    async def begin(self, api: Api) -> None:
        """Let the next check speak this API, and forget what the ones before did once all of it was told."""
        self.api = api
        with suppress(TimeoutError):
            async with asyncio.timeout(_END):
                while not await self._has_told():
                    pass
        self.upstream.clear()
        self.said.clear()

    async def _has_told(self) -> bool:
        """Return whether nobody is answered, and nothing new was told for a moment."""
        busy = (await self.proxy.health())["processes"]["busy"]
        before = len(self.proxy.access())
        await asyncio.sleep(_QUIET)
        self._before = len(self.proxy.access())
        return not busy and before == self._before

    def _subscription(self) -> dict[str, str]:
        """Return the environment of a user with a plan, for whom the CLI reports a used-up plan."""
        environment = self.upstream.environment()
        del environment["ANTHROPIC_API_KEY"]
        return {**environment, "CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-dummy"}

    def _lay_out(self) -> None:
        self.work.mkdir(parents=True)
        (self.home / "tmp").mkdir()
        for path in [*self.client.files, *(FOLDER / name for name in _HARNESSES)]:
            text = path.read_text("utf-8").replace(ADDRESS, self.proxy.url)
            (self.work / path.name).write_text(text, "utf-8")
        if (self.installed.folder / "node_modules").exists():
            (self.work / "node_modules").symlink_to(self.installed.folder / "node_modules")

    def place(self, name: str, where: str) -> Path:
        """Copy one of the client's files to where the client looks for it, below its home."""
        path = self.home / where
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.work / name, path)
        return path

    def environment(self, **more: str) -> dict[str, str]:
        """Return the client's environment: nothing of the machine's but where programs are."""
        path = f"{self.installed.commands}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        own = {"HOME": str(self.home), "TMPDIR": str(self.home / "tmp"), "PATH": path, "LANG": "C.UTF-8"}
        return {
            **own,
            "HTTPS_PROXY": NOWHERE,
            "NO_PROXY": "127.0.0.1",
            "NO_COLOR": "1",
            "TERM": "dumb",
            **self.client.environment,
            **more,
        }

    async def start(self, *command: str, **environment: str) -> asyncio.subprocess.Process:
        """Start one of the client's commands in its own process group, with a mark on all that it starts."""
        mark = f"{self.home.parent.name}-{next(self._numbers)}"
        process = await asyncio.create_subprocess_exec(
            *(self.installed.command(command[0]), *command[1:]),
            cwd=self.work,
            env=self.environment(**environment, **{_MARK: mark}),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            limit=2**24,
        )
        self._marks[process.pid] = mark
        return process

    async def run(
        self,
        *command: str,
        typed: str = "",
        within: float = 240.0,
        variables: Mapping[str, str] = MappingProxyType({}),
        **environment: str,
    ) -> Output:
        """Run one of the client's commands to its end, and keep what it says for the log."""
        self.said.append(f"$ {' '.join(command)}")
        process = await self.start(*command, **variables, **environment)
        try:
            async with asyncio.timeout(within):
                printed, errors = await self._talk(process, typed)
        except TimeoutError:
            raise AssertionError(f"{command[0]} did not end within {within:.0f} s") from None
        finally:
            await self.end(process)
        self.said.append(f"status {process.returncode}")
        return Output(process.returncode or 0, printed, errors)

    async def _talk(self, process: asyncio.subprocess.Process, typed: str) -> tuple[str, str]:
        """Type, listen to the end, and keep what was said even when it has no end."""
        assert process.stdin is not None
        process.stdin.write(typed.encode())
        process.stdin.close()
        printed, errors, _ = await asyncio.gather(
            self._hear(process.stdout), self._hear(process.stderr), process.wait()
        )
        return printed, errors

    async def _hear(self, stream: asyncio.StreamReader | None) -> str:
        assert stream is not None
        lines = []
        while line := await stream.readline():
            lines.append(line.decode(errors="replace"))
            self.said.append(lines[-1].rstrip("\n"))
        return "".join(lines)

    async def end(self, process: asyncio.subprocess.Process) -> None:
        """End a command with everything that it started, also what left its process group."""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        _kill_marked(self._marks[process.pid])
        async with asyncio.timeout(_END):
            await process.wait()

    async def ask(self, program: str, what: str, within: float = 240.0, **arguments: Any) -> Any:
        """Let a program of the client's files do something, and return what it makes of it."""
        if program not in self._programs:
            command = _RUNS[Path(program).suffix]
            self._programs[program] = Program(await self.start(command, program), self.said)
        return await self._programs[program].ask(what, arguments, within)

    async def asked(self, count: int, within: float = 10.0) -> None:
        """Wait until the provider was asked so often."""
        came = await until(lambda: len(self.upstream.requests) >= count, within)
        assert came, f"the provider was asked {len(self.upstream.requests)} times, not {count}"

    async def live(self, count: int, model: str = "") -> list[bool]:
        """Tell of each of this check's `count` requests for a model whether it went on in a kept process.

        Without a model's name, all are meant.
        """

        def lines() -> list[str]:
            found = self.proxy.access()[self._before :]
            return [rest for _, rest in found if rest.startswith(f"{model}  ") or not model]

        await until(lambda: len(lines()) >= count)
        return ["  live  " in f"  {rest}  " for rest in lines()]

    async def statuses(self, count: int = 1, within: float = 5.0) -> list[int]:
        """Return the status of each of this check's requests, once the proxy has finished so many.

        If it does not do so `within` so many seconds, there are fewer.
        """
        await until(lambda: len(self.proxy.access()) >= self._before + count, within)
        return [status for status, _ in self.proxy.access()[self._before :]]


def _kill_marked(mark: str) -> None:
    """End every process with this mark in its environment, where the system shows environments."""
    for path in Path("/proc").glob("[0-9]*"):
        if f"{_MARK}={mark}".encode() in read_environment(int(path.name)):
            with suppress(ProcessLookupError):
                os.kill(int(path.name), signal.SIGKILL)
