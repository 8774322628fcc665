"""The keeper, with real processes: nothing that is started below it outlives it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from claude_max_proxy.backends.claude_cli import keeper, offspring
from tests.end_to_end.running import until


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has subreapers")
SCRIPT = """
trap '' TERM HUP
(setsid sh -c 'trap "" TERM HUP; echo $$ > {file}; while :; do sleep 0.1; done' >/dev/null 2>&1 </dev/null &)
while [ ! -s {file} ]; do sleep 0.05; done
{then}
"""
# It starts nothing: a process that is stopped while it starts another is in a state of its own.
ENDS_ITSELF = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
open(sys.argv[1], "w").close()
while True:
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _nothing_is_left(tmp_path: Path) -> Iterator[None]:
    """End what a test that fails has left: its command lines name the test's folder."""
    yield
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(tmp_path).encode() in (path / "cmdline").read_bytes():
                os.kill(int(path.name), signal.SIGKILL)


async def kept(file: Path, then: str, **environment: str) -> asyncio.subprocess.Process:
    """Run a script that starts something in another session, under a keeper."""
    return await asyncio.create_subprocess_exec(
        *keeper.command(["/bin/sh", "-c", SCRIPT.format(file=file, then=then)]),
        stdout=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], **environment},
        start_new_session=True,
    )


def runs(pid: int) -> bool:
    """Return whether a process runs, and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def stray_of(file: Path) -> int:
    """Return the id of the process that was started, once it runs."""

    def said() -> str:
        return file.read_text().strip() if file.exists() else ""

    assert await until(said, 20)
    return int(said())


@pytest.mark.parametrize(("then", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)])
async def test_it_ends_all_with_the_command(then: str, status: int, tmp_path: Path) -> None:
    """When the command ends, everything that it started ends, and the status is the command's."""
    process = await kept(tmp_path / "pid", then)
    stray = await stray_of(tmp_path / "pid")
    async with asyncio.timeout(20):
        assert await process.wait() == status
    assert not runs(stray)


@pytest.mark.parametrize("paused", [False, True])
async def test_it_ends_all_when_it_is_told(paused: bool, tmp_path: Path) -> None:
    """When it is told to end, it kills the command and everything else, also stopped processes."""
    process = await kept(tmp_path / "pid", "sleep 600")
    stray = await stray_of(tmp_path / "pid")
    if paused:
        process.send_signal(keeper.STOP)
        os.kill(stray, signal.SIGSTOP)
    process.send_signal(keeper.END)
    async with asyncio.timeout(20):
        assert await process.wait() == 137
    assert not runs(stray)


async def test_signals_go_to_the_command(tmp_path: Path) -> None:
    """A signal to end reaches the command, and a signal to stop does not stop the keeper."""
    process = await asyncio.create_subprocess_exec(
        *keeper.command([sys.executable, "-I", "-S", "-c", ENDS_ITSELF, str(tmp_path / "on")])
    )
    assert await until((tmp_path / "on").exists, 20)
    (child,) = offspring.children(process.pid)

    process.send_signal(keeper.STOP)
    assert await until(lambda: state(child) == "T")
    assert await until(lambda: state(process.pid) == "S")  # it runs for a moment: its child's stop wakes it
    process.send_signal(signal.SIGCONT)
    assert await until(lambda: state(child) != "T")
    process.terminate()

    async with asyncio.timeout(20):
        assert await process.wait() == 5


def state(pid: int) -> str:
    """Return the state of a process."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


async def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    """A command that cannot be run leads to a status, and a line that says so."""
    process = await asyncio.create_subprocess_exec(
        *keeper.command([str(tmp_path / "none")]), stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    assert process.returncode == 127
    assert b"No such file" in said


async def test_what_carries_the_mark(tmp_path: Path) -> None:
    """If the keeper is killed, processes with the mark are ended, and those with another mark are not."""
    mark, other = offspring.mark(), offspring.mark()
    process, bystander = (
        await kept(tmp_path / "mine", "exec sleep 600", **mark),
        await kept(tmp_path / "other", "exec sleep 600", **other),
    )
    mine, others = await stray_of(tmp_path / "mine"), await stray_of(tmp_path / "other")
    process.kill()
    await process.wait()
    assert runs(mine)

    await asyncio.to_thread(offspring.end_marked, mark)

    assert await until(lambda: not runs(mine))
    assert runs(others)
    bystander.send_signal(keeper.END)
    await bystander.wait()
    assert not runs(others)
