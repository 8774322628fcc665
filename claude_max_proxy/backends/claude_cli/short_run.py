"""Runs a command of the CLI that prints something and exits, such as ``claude --version``."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping

import msgspec

from claude_max_proxy.backends.claude_cli.child import prepare
from claude_max_proxy.backends.claude_cli.command import environment
from claude_max_proxy.backends.claude_cli.directory import private_directory
from claude_max_proxy.errors import BackendUnavailable


_KILL_TIMEOUT = 5.0
_MOST_OUTPUT = 1_000_000  # bytes


class _TooMuchError(Exception):
    """The program prints more than it should."""


class Said(msgspec.Struct, frozen=True):
    """The exit status, and what was printed to standard output and standard error together."""

    status: int
    output: str


async def run_once(command: list[str], *words: str, env: Mapping[str, str], timeout: float) -> Said:
    """Run the CLI with the arguments ``words``, in the environment that all our CLIs get, plus ``env``.

    Raises :class:`BackendUnavailable` if the program cannot be run, does not exit within ``timeout`` seconds,
    or prints more than any such command does.
    """
    shown = " ".join([command[0], *words])
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=environment(os.environ, env),
            cwd=private_directory(),
            start_new_session=os.name == "posix",
            preexec_fn=prepare() if sys.platform == "linux" else None,
        )
    except OSError as error:
        raise BackendUnavailable(f"{command[0]} cannot be run: {error.strerror or error}") from error
    try:
        async with asyncio.timeout(timeout):
            output = await _output(process)
            await process.wait()
    except TimeoutError as error:
        raise BackendUnavailable(f"{shown} does not answer") from error
    except _TooMuchError as error:
        raise BackendUnavailable(f"{shown} prints more than {_MOST_OUTPUT:,} bytes") from error
    finally:
        if process.returncode is None:
            _kill(process)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_KILL_TIMEOUT):
                    await _end(process)
    return Said(process.returncode or 0, output.decode(errors="replace"))


async def _output(process: asyncio.subprocess.Process) -> bytes:
    """Return what the process prints, to its end."""
    assert process.stdout is not None
    output = bytearray()
    while piece := await process.stdout.read(_MOST_OUTPUT):
        output += piece
        if len(output) > _MOST_OUTPUT:
            raise _TooMuchError
    return bytes(output)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Wait for the exit; what is still in the pipe is read, since asyncio would keep it open."""
    assert process.stdout is not None
    while await process.stdout.read(_MOST_OUTPUT):
        pass
    await process.wait()


def _kill(process: asyncio.subprocess.Process) -> None:
    """Kill the process, and on POSIX systems its whole process group."""
    with contextlib.suppress(ProcessLookupError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
