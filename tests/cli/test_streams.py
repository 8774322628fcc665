"""A server whose output cannot be written, or is not read: it starts, serves, logs and stops all the same."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from claude_max_proxy.cli.streams import Forgiving
from tests.cli.serving_process import ask, write


pytestmark = pytest.mark.slow
Opened = tuple[int, int | None]  # what the process writes to, and what to keep open for it


def _nobody() -> Opened:
    """Return a pipe whose reader is closed."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer, None


def _stuck() -> Opened:
    """Return a pipe that is full, and whose reader does not read."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 4096)
    os.set_blocking(writer, True)
    return writer, reader


def _full() -> Opened:
    """Return a disk without space."""
    return os.open("/dev/full", os.O_WRONLY), None


def _read_only() -> Opened:
    """Return a file that cannot be written to at all."""
    return os.open("/dev/null", os.O_RDONLY), None


BROKEN: dict[str, Callable[[], Opened]] = {
    "nobody reads": _nobody,
    "nobody goes on reading": _stuck,
    "a full disk": _full,
    "nothing to write to": _read_only,
}
broken = pytest.mark.parametrize("make", BROKEN.values(), ids=BROKEN)


def free_port() -> int:
    """Return a port that is currently free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def started(
    folder: Path, command: list[str], out: int, err: int
) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """Yield a server that has these files as its output, once it answers."""
    write(folder)
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(*command, sys.executable, "-m", "claude_max_proxy", "serve", "--verbose", "--port", str(port)),
        cwd=folder,
        env={**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)},
        stdout=out,
        stderr=err,
    )
    try:
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                await asyncio.sleep(0.05)
        yield f"http://127.0.0.1:{port}/v1", process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def opened(process: int, number: int) -> str:
    """Return what a descriptor of a process refers to."""
    return str(Path(f"/proc/{process}/fd/{number}").readlink())


async def serves_and_stops(folder: Path, command: list[str], out: int, err: int) -> None:
    """It serves, reloads its configuration, and stops properly."""
    async with started(folder, command, out, err) as (url, process):
        for _ in range(5):
            assert (await ask(url)).status_code == 200
        (folder / "proxy.toml").write_text("[server]\nprot = 1\n")  # which is logged
        await asyncio.sleep(1)
        assert (await ask(url)).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 20) == 0


@broken
@pytest.mark.parametrize("which", ["stdout", "stderr", "both"])
async def test_broken_output(tmp_path: Path, make: Callable[[], Opened], which: str) -> None:
    """What cannot be written is lost, and nothing else is different."""
    bad, kept = make()
    try:
        out = bad if which != "stderr" else asyncio.subprocess.DEVNULL
        err = bad if which != "stdout" else asyncio.subprocess.DEVNULL
        await serves_and_stops(tmp_path, [], out, err)
    finally:
        os.close(bad)
        if kept is not None:
            os.close(kept)


async def test_closed_output(tmp_path: Path) -> None:
    """With none of the three streams open, none of their numbers is used for a client's connection."""
    command = ["sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh"]
    async with started(tmp_path, command, asyncio.subprocess.DEVNULL, asyncio.subprocess.DEVNULL) as (
        url,
        process,
    ):
        assert (await ask(url)).status_code == 200
        assert [opened(process.pid, number) for number in (0, 1, 2)] == ["/dev/null"] * 3
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 20) == 0


async def test_output_that_breaks_later(tmp_path: Path) -> None:
    """A reader that ends while the server runs, as `tee` may, has no effect on the server."""
    reader, writer = os.pipe()
    async with started(tmp_path, [], writer, writer) as (url, process):
        os.close(writer)
        assert (await ask(url)).status_code == 200
        os.close(reader)
        for _ in range(3):
            assert (await ask(url)).status_code == 200
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 20) == 0


def test_what_is_taken_is_written() -> None:
    """A large text arrives whole and in order if it is read."""
    reader, writer = os.pipe()
    text = b"".join(b"%d\n" % number for number in range(5000))
    with os.fdopen(reader, "rb") as heard:
        stream = Forgiving(writer, "w")
        assert stream.write(text) == len(text)
        stream.close()
        assert heard.read() == text
