"""One process of the CLI: starts it, exchanges lines with it, and ends it in every case.

On Linux the kernel kills it when the proxy dies, even by SIGKILL; a process that may start others has a
keeper there, which ends all of them. On other systems the process's standard input closes when the proxy
dies, and the CLI then exits by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from claude_max_proxy import Tasks
from claude_max_proxy.backends.claude_cli import keeper, offspring
from claude_max_proxy.backends.claude_cli.child import prepare
from claude_max_proxy.backends.claude_cli.framing import LineFramer
from claude_max_proxy.backends.claude_cli.overrun import Overrun
from claude_max_proxy.backends.claude_cli.process_kind import ProcessKind
from claude_max_proxy.backends.claude_cli.protocol import Garbage, Line, decode, is_rehearsed
from claude_max_proxy.backends.claude_cli.rehearsal import Rehearsal
from claude_max_proxy.errors import BackendUnavailable, UpstreamFailed


LINE_LIMIT = 64 * 1024 * 1024
_CHUNK = 256 * 1024
_INBOX = 64  # batches of lines, one for each chunk; when it is full, the CLI has to wait for a slow client
_HOT = 0.002  # seconds between reads
_UNREAD = 1024  # bytes; with more than that in the buffer, nothing is read from the pipe until the next read
_STDERR_KEPT = 4096
_GARBAGE_KEPT = 200
_GARBAGE_LIMIT = 100
_LAST_WORDS = 0.2  # seconds for what a process wrote just before its end
_SEND_TIMEOUT = 60.0
_GRACE = 2.0
# The signals that a keeper gets instead of these, which would stop or end the keeper itself.
_TO_KEEPER = {signal.SIGKILL: keeper.END, signal.SIGSTOP: keeper.STOP} if os.name == "posix" else {}
Batch = list[Line] | None


class CliProcess:
    """A running CLI.

    - ``inbox``: its lines, in batches; ``None`` follows the last one.
    - ``killed``: we have killed it.
    - ``fenced``: it cannot ask the model anything by itself when an answer is over.
    - ``overrun``: notices where it would ask again although the answer is over.
    - ``paused``: it is stopped; it is continued when it is spoken to.
    - ``rehearsed``: not set as long as it is loading what its first answer needs.
    - ``turns``: how many requests it was given, the newest of them from the client's ``session``.
    """

    def __init__(
        self, process: asyncio.subprocess.Process, kind: ProcessKind, mark: dict[str, str] | None = None
    ) -> None:
        """Take charge of ``process``, which :meth:`spawn` starts. A process with a ``mark`` has a keeper."""
        self.kind = kind
        self.born = time.monotonic()
        self.inbox: asyncio.Queue[Batch] = asyncio.Queue(_INBOX)
        self.exited = asyncio.Event()
        self.rehearsed = asyncio.Event()
        self.rehearsed.set()
        self.killed = False
        self.fenced = False
        self.overrun = Overrun()
        self.paused = False
        self.turns = 0
        self.session = ""
        self._rehearsal = Rehearsal()
        self._process = process
        self._mark = mark
        self._tasks = Tasks()
        self._stderr = b""
        self._garbage: list[str] = []
        self._unheard = False
        self._read_at = 0.0
        self._reader = self._tasks.start(self._read_output(), f"claude-stdout-{self.pid}", lasting=True)
        self._errors = self._tasks.start(self._read_errors(), f"claude-stderr-{self.pid}", lasting=True)

    @classmethod
    async def spawn(
        cls,
        arguments: list[str],
        environment: Mapping[str, str],
        directory: Path,
        kind: ProcessKind,
        on_exit: Callable[[CliProcess], None],
        announce: int | None = None,
    ) -> CliProcess:
        """Start the CLI. Raises :class:`BackendUnavailable` if the system cannot.

        ``on_exit`` is called when the process has ended. ``announce`` is a descriptor to which the child
        writes its process id, in the watchdog's format, before it executes the CLI: so even if the proxy
        dies at that moment, the watchdog knows the process.
        """
        linux = sys.platform == "linux"
        mark = offspring.mark() if linux and kind.agent is not None else None
        try:
            process = await asyncio.create_subprocess_exec(
                *(arguments if mark is None else keeper.command(arguments)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={**environment, **(mark or {})},
                cwd=directory,
                limit=_UNREAD,
                start_new_session=os.name == "posix",
                preexec_fn=prepare(announce, kept=mark is not None) if linux else None,
            )
        except OSError as error:
            raise BackendUnavailable(
                f"the Claude Code CLI {arguments[0]!r} could not be started: {error.strerror or error}"
            ) from error
        self = cls(process, kind, mark)
        self._tasks.start(self._wait(on_exit), f"claude-exit-{self.pid}", lasting=True)
        return self

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def is_watched(self) -> bool:
        """Whether the watchdog must end it when the proxy dies; with a keeper, the keeper does that."""
        return self.alive and self._mark is None

    @property
    def is_kept(self) -> bool:
        """Whether a keeper runs it, whose child it then is."""
        return self._mark is not None

    def give(self, session: str) -> None:
        """Note that it is given a request of a client's ``session``."""
        self.turns += 1
        self.session = session

    @property
    def is_at_work(self) -> bool:
        """Whether something that it started still runs, or we cannot tell. Only agents start anything."""
        if self._mark is None or not self.alive:
            return False

        try:
            below = offspring.children(self.pid)
            return len(below) != 1 or bool(offspring.children(below[0]))
        except OSError:
            return True

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.returncode is None

    def last_words(self) -> str:
        """Return how it ended and what it printed outside of the protocol, for an error message."""
        code = self._process.returncode
        state = "still running" if code is None else f"exit status {code}"
        said = self._stderr.decode(errors="replace").strip() or " ".join(self._garbage)
        return f"{state}; it said: {said[-500:]}" if said else state

    async def send(self, lines: bytes) -> None:
        """Write to its standard input. Raises :class:`UpstreamFailed` if it has ended or does not read."""
        stdin = self._process.stdin
        assert stdin is not None
        self.wake()
        try:
            stdin.write(lines)
            async with asyncio.timeout(_SEND_TIMEOUT):
                await stdin.drain()
        except TimeoutError as error:  # which is an OSError, too
            raise UpstreamFailed("the Claude Code CLI does not read its input") from error
        except (OSError, RuntimeError) as error:
            await self.exits_within(_GRACE)
            raise UpstreamFailed(f"the Claude Code CLI is gone: {self.last_words()}") from error

    async def rehearse(self, rehearsal: Rehearsal) -> None:
        """Make it load what its first answer needs; ``rehearsed`` is set when it is done."""
        if rehearsal.begin:
            self.rehearsed.clear()
            self._rehearsal = rehearsal
            await self.send(rehearsal.begin)

    def pause(self) -> None:
        """Stop it, so that it uses no processor time until it is spoken to again.

        It must have nothing to do. If the proxy dies meanwhile, the process still ends, since SIGKILL also
        works on a stopped process. On Windows, which has no such signal, this does nothing.
        """
        if os.name == "posix" and self.alive and not self.paused:
            self.paused = True
            self._signal(signal.SIGSTOP)

    def kill(self) -> None:
        """Kill it at once, with everything that it started."""
        self.killed = True
        self._signal(signal.SIGKILL if os.name == "posix" else signal.SIGTERM)

    async def end(self, *, idle: bool = False) -> None:
        """End it within a bounded time: first ask it to exit, then kill it.

        An ``idle`` process exits by itself when its input closes. Any other gets a signal first: if only its
        input closed, it would give up the tool calls that it waits for and ask the model again.
        """
        self._let_go()
        self.wake()
        if idle:
            self._close_input()
        if not (idle and await self.exits_within(_GRACE)):
            self._signal(signal.SIGTERM)
            if not await self.exits_within(_GRACE):
                self.kill()
                if not await self.exits_within(_GRACE):
                    await self._insist()
        self._close_input()
        await asyncio.wait({self._reader}, timeout=_GRACE)  # its last lines are still to be read
        await self._tasks.close()

    async def exits_within(self, seconds: float) -> bool:
        """Wait at most this many seconds for its end; return whether it has ended."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.exited.wait()
        return self.exited.is_set()

    def wake(self) -> None:
        """Continue it, if it is paused."""
        if self.paused:
            self.paused = False
            self._signal(signal.SIGCONT)

    def _let_go(self) -> None:
        """Discard what it still writes.

        The reader sees the end of the process only after all of its output. If the inbox is full and nobody
        reads it, the reader would wait forever.
        """
        self._unheard = True
        if self.inbox.full():
            self.inbox.get_nowait()

    async def _insist(self) -> None:
        """Kill a keeper that does not obey its signals."""
        if self._mark is not None and self.alive:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self.exits_within(_GRACE)

    def _close_input(self) -> None:
        with contextlib.suppress(OSError, RuntimeError):
            if self._process.stdin is not None:
                self._process.stdin.close()

    def _signal(self, number: signal.Signals) -> None:
        if not self.alive:
            return

        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self._mark is not None:
                os.kill(self.pid, _TO_KEEPER.get(number, number))
            elif os.name == "posix":
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
                overrun = [self.overrun.begins(line) for line in lines]
                if any(overrun) and not self.fenced:
                    self.kill()  # it is done here because the reader of the inbox may be too late
                if not self.rehearsed.is_set() and any(map(is_rehearsed, lines)):
                    with contextlib.suppress(UpstreamFailed):  # the next who uses it learns that it is gone
                        await self.send(self._rehearsal.end)
                    self.rehearsed.set()
                if lines and not (self._unheard and self.inbox.full()):
                    await self.inbox.put(lines)
                    await self._gather(lines)
        except ValueError as error:  # a bound was exceeded: nothing that it sends can be trusted any more
            self._note_garbage(str(error))
            self.kill()
        finally:
            self.rehearsed.set()  # nobody needs to wait for it any more
            self._close_inbox()
        while await stdout.read(_CHUNK):  # or its end would never be seen
            pass

    async def _gather(self, lines: list[Line]) -> None:
        """Wait a moment when deltas come faster than any model writes, so that one read returns several."""
        now = asyncio.get_running_loop().time()
        hot, self._read_at = now - self._read_at < _HOT, now
        if hot and all(line.event is not None and line.event.type == "content_block_delta" for line in lines):
            await asyncio.sleep(_HOT)
            self._read_at += _HOT

    def _close_inbox(self) -> None:
        """Put the end mark into the inbox; if the inbox is full, the oldest batch makes room."""
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
        status = await self._process.wait()
        if self._mark is not None and status < 0:  # the keeper was killed
            await asyncio.to_thread(offspring.end_marked, self._mark)
        await asyncio.wait({self._errors}, timeout=_LAST_WORDS)
        self.exited.set()
        on_exit(self)
