"""One process of the CLI: started, spoken to line by line, and ended, whatever happens.

On Linux the kernel kills it when the proxy dies, even by SIGKILL; elsewhere its standard input closes then,
at which the CLI exits by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from claude_max_proxy import BackendUnavailable, UpstreamFailed
from claude_max_proxy.backends.claude_cli.framing import LineFramer
from claude_max_proxy.backends.claude_cli.kind import Kind
from claude_max_proxy.backends.claude_cli.protocol import Garbage, Line, decode, is_final, is_rehearsed
from claude_max_proxy.backends.claude_cli.rehearsal import Rehearsal
from claude_max_proxy.backends.claude_cli.watchdog import watch
from claude_max_proxy.tasks import Tasks


LINE_LIMIT = 64 * 1024 * 1024
_CHUNK = 256 * 1024
_INBOX = 64  # chunks' worth of lines; a slow client holds the CLI back through it
_HOT = 0.002  # seconds between reads
_UNREAD = 1024  # bytes: with more in the buffer, the pipe itself is left alone until the next read
_STDERR_KEPT = 4096
_GARBAGE_KEPT = 200
_GARBAGE_LIMIT = 100
_LAST_WORDS = 0.2  # seconds for what a process wrote just before its end
_SEND_TIMEOUT = 60.0
_GRACE = 2.0
_PR_SET_PDEATHSIG = 1

Batch = list[Line] | None


class CliProcess:
    """A running CLI. ``inbox`` holds its lines, batch by batch, and ``None`` once it said its last.

    ``killed`` says that its end was our doing, and ``fenced`` that it cannot ask anything by itself where an
    answer ends for good. One that is ``paused`` also wakes when it is spoken to. ``rehearsed`` is set but for
    the time in which it rehearses.
    """

    def __init__(self, process: asyncio.subprocess.Process, kind: Kind) -> None:
        """Take charge of ``process``; :meth:`spawn` is the way to get one."""
        self.kind = kind
        self.inbox: asyncio.Queue[Batch] = asyncio.Queue(_INBOX)
        self.exited = asyncio.Event()
        self.rehearsed = asyncio.Event()
        self.rehearsed.set()
        self.killed = False
        self.fenced = False
        self.paused = False
        self._rehearsal = Rehearsal()
        self._process = process
        self._tasks = Tasks()
        self._stderr = b""
        self._garbage: list[str] = []
        self._read_at = 0.0
        self._reader = self._tasks.start(self._read_output(), f"claude-stdout-{self.pid}")
        self._errors = self._tasks.start(self._read_errors(), f"claude-stderr-{self.pid}")

    @classmethod
    async def spawn(
        cls,
        arguments: list[str],
        environment: Mapping[str, str],
        directory: Path,
        kind: Kind,
        on_exit: Callable[[CliProcess], None],
        announce: int | None = None,
    ) -> CliProcess:
        """Start the CLI; raise :class:`BackendUnavailable` when the system cannot.

        ``announce`` is a descriptor to which the child writes its number before it is the CLI, as the
        watchdog reads it: whenever the proxy dies, there is nothing that is not watched.
        """
        linux = sys.platform == "linux"
        try:
            process = await asyncio.create_subprocess_exec(
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=dict(environment),
                cwd=directory,
                limit=_UNREAD,
                start_new_session=os.name == "posix",
                preexec_fn=_prepare(os.getpid(), announce) if linux else None,
            )
        except OSError as error:
            raise BackendUnavailable(
                f"the Claude Code CLI {arguments[0]!r} could not be started: {error.strerror or error}"
            ) from error
        self = cls(process, kind)
        self._tasks.start(self._wait(on_exit), f"claude-exit-{self.pid}")
        return self

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.returncode is None

    def last_words(self) -> str:
        """Say how it ended and what it printed that was not protocol, for an error message."""
        code = self._process.returncode
        state = "still running" if code is None else f"exit status {code}"
        said = self._stderr.decode(errors="replace").strip() or " ".join(self._garbage)
        return f"{state}; it said: {said[-500:]}" if said else state

    async def send(self, lines: bytes) -> None:
        """Write to its standard input; raise :class:`UpstreamFailed` when it does not take it."""
        stdin = self._process.stdin
        assert stdin is not None
        self.wake()
        try:
            stdin.write(lines)
            async with asyncio.timeout(_SEND_TIMEOUT):
                await stdin.drain()
        except (OSError, RuntimeError) as error:
            await self.exits_within(_GRACE)
            raise UpstreamFailed(f"the Claude Code CLI is gone: {self.last_words()}") from error
        except TimeoutError as error:
            raise UpstreamFailed("the Claude Code CLI does not read its input") from error

    async def rehearse(self, rehearsal: Rehearsal) -> None:
        """Let it load what its first answer needs; ``rehearsed`` says when it is done."""
        if rehearsal.begin:
            self.rehearsed.clear()
            self._rehearsal = rehearsal
            await self.send(rehearsal.begin)

    def pause(self) -> None:
        """Stop it where it is, so that it takes no time of the machine's until it is spoken to again.

        It must have nothing to do. Whoever dies meanwhile takes it along: the signal that ends it needs no
        waking. Windows has nothing like it.
        """
        if os.name == "posix" and self.alive and not self.paused:
            self.paused = True
            self._signal(signal.SIGSTOP)

    def kill(self) -> None:
        """End it this instant, with everything it started."""
        self.killed = True
        self._signal(signal.SIGKILL if os.name == "posix" else signal.SIGTERM)

    async def end(self, *, idle: bool = False) -> None:
        """End it, within a bound: ask, then insist. An idle one exits by itself when its input closes.

        Any other hears the signal first: when its input closes, it gives up the calls that it waits for, and
        asks the model once more.
        """
        self.wake()
        if idle:
            self._close_input()
        if not (idle and await self.exits_within(_GRACE)):
            self._signal(signal.SIGTERM)
            if not await self.exits_within(_GRACE):
                self.kill()
                await self.exits_within(_GRACE)
        self._close_input()
        await asyncio.wait({self._reader}, timeout=_GRACE)  # what it said last is still to be heard
        await self._tasks.close()

    async def exits_within(self, seconds: float) -> bool:
        """Wait for its end, at most so long; say whether it came."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.exited.wait()
        return self.exited.is_set()

    def wake(self) -> None:
        """Let it go on, if it is stopped."""
        if self.paused:
            self.paused = False
            self._signal(signal.SIGCONT)

    def _close_input(self) -> None:
        with contextlib.suppress(OSError, RuntimeError):
            if self._process.stdin is not None:
                self._process.stdin.close()

    def _signal(self, number: int) -> None:
        if not self.alive:
            return

        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.name == "posix":
                os.killpg(self.pid, number)
            else:
                self._process.terminate()

    async def _read_output(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None
        framer = LineFramer(LINE_LIMIT)
        try:
            while chunk := await stdout.read(_CHUNK):
                lines = [line for raw in framer.feed(chunk) if (line := self._decode(raw))]
                if any(map(is_final, lines)) and not self.fenced:
                    self.kill()  # here, for whoever reads the inbox may be late
                if not self.rehearsed.is_set() and any(map(is_rehearsed, lines)):
                    await self.send(self._rehearsal.end)
                    self.rehearsed.set()
                if lines:
                    await self.inbox.put(lines)
                    await self._gather(lines)
        except ValueError as error:  # beyond a bound: nothing more that it says can be trusted
            self._note_garbage(str(error))
            self.kill()
        finally:
            self.rehearsed.set()  # nobody needs to wait for it any more
            self._close_inbox()

    async def _gather(self, lines: list[Line]) -> None:
        """Where deltas come faster than any model writes, let some come together: each read has its price."""
        now = asyncio.get_running_loop().time()
        hot, self._read_at = now - self._read_at < _HOT, now
        if hot and all(line.event is not None and line.event.type == "content_block_delta" for line in lines):
            await asyncio.sleep(_HOT)
            self._read_at += _HOT

    def _close_inbox(self) -> None:
        """Put the end into the inbox, in the place of the newest lines if it is full."""
        if self.inbox.full():
            self.inbox.get_nowait()
        self.inbox.put_nowait(None)

    def _decode(self, raw: bytes) -> Line | None:
        try:
            return decode(raw)
        except Garbage as error:
            self._note_garbage(raw[:_GARBAGE_KEPT].decode(errors="replace"))
            if len(self._garbage) > _GARBAGE_LIMIT:
                raise ValueError("too many lines that are not the CLI's protocol") from error
            return None

    def _note_garbage(self, text: str) -> None:
        self._garbage.append(text)

    async def _read_errors(self) -> None:
        stderr = self._process.stderr
        assert stderr is not None
        while chunk := await stderr.read(_CHUNK):
            self._stderr = (self._stderr + chunk)[-_STDERR_KEPT:]

    async def _wait(self, on_exit: Callable[[CliProcess], None]) -> None:
        await self._process.wait()
        await asyncio.wait({self._errors}, timeout=_LAST_WORDS)
        self.exited.set()
        on_exit(self)


def _prepare(parent: int, announce: int | None) -> Callable[[], None]:
    """Make the kernel kill the child when the proxy dies, unless it has died already."""
    prctl = ctypes.CDLL(None).prctl

    def prepare() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if announce is not None:
            with contextlib.suppress(OSError):
                os.write(announce, watch(os.getpid()))
        if os.getppid() != parent:
            os._exit(1)

    return prepare
