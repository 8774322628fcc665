"""One short run of the CLI that says something and ends, as ``claude --version`` does."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping

import msgspec

from claude_max_proxy import BackendUnavailable
from claude_max_proxy.backends.claude_cli.command import environment, private_directory


_KILL_TIMEOUT = 5.0


class Said(msgspec.Struct, frozen=True):
    """The exit status and the output, both streams together."""

    status: int
    output: str


async def run_once(command: list[str], *words: str, env: Mapping[str, str], timeout: float) -> Said:
    """Run it in the environment that every CLI of ours gets, with ``env`` added.

    Raises :class:`BackendUnavailable` for a program that cannot be run, or does not end in ``timeout`` s.
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
        )
    except OSError as error:
        raise BackendUnavailable(f"{command[0]} cannot be run: {error.strerror}") from error
    try:
        async with asyncio.timeout(timeout):
            output, _ = await process.communicate()
    except TimeoutError as error:
        raise BackendUnavailable(f"{shown} does not answer") from error
    finally:
        if process.returncode is None:
            process.kill()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _KILL_TIMEOUT)
    return Said(process.returncode or 0, output.decode(errors="replace"))
