"""Looks for the CLI again and again, since it may be installed later, or replaced by another version.

Every request that needs the CLI looks for it if a look is due. There is at most one look at a time and one a
second, and all who wait share it. A background task also looks: less and less often while something is
wrong, and once a minute while all is well.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable

from claude_max_proxy import ProxyError, Tasks
from claude_max_proxy.backends.claude_cli.advice import how_to_log_in
from claude_max_proxy.backends.claude_cli.command import find_command
from claude_max_proxy.backends.claude_cli.installation import Installation, check_version
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings
from claude_max_proxy.backends.claude_cli.short_run import run_once
from claude_max_proxy.errors import BackendUnavailable


logger = logging.getLogger(__name__)

_VERSION_TIMEOUT = 20.0
_SHORTEST, _LONGEST, _LONGEST_WITHOUT_LOGIN = 1.0, 60.0, 300.0

# What identifies the files of a command: if one is replaced, this differs.
_Files = tuple[tuple[int, ...], ...]


class Lookout:
    """Looks for the CLI of one backend.

    What it finds is written to ``installation``, and ``found`` is called with the command whenever a look
    succeeds. ``ask_login`` starts a process to learn who is logged in.
    """

    def __init__(
        self,
        settings: ClaudeCliSettings,
        installation: Installation,
        found: Callable[[list[str]], None],
        ask_login: Callable[[], Awaitable[None]],
    ) -> None:
        """Prepare, without looking yet."""
        self.looked = False
        self._settings = settings
        self._installation = installation
        self._found = found
        self._ask_login = ask_login
        self._command: list[str] = []
        self._files: _Files | None = None
        self._looked_at = -_SHORTEST
        self._look_running: asyncio.Task[None] | None = None
        self._tasks = Tasks()

    async def close(self) -> None:
        """Cancel a look that is under way."""
        await self._tasks.close()

    async def command(self) -> list[str]:
        """Return the command of the CLI, after a look if one is due.

        Raises :class:`BackendUnavailable` if no CLI was found that can be used.
        """
        await self.look()
        if self._installation.problem:
            raise BackendUnavailable(self._installation.problem)
        return self._command

    async def look(self) -> None:
        """Look if that is due: at first, while something is wrong, and when the program was replaced."""
        if self._look_running is None and self._is_due:
            self._look_running = self._tasks.start(self._look(), "claude-look", lasting=True)
        if self._look_running is not None:
            await asyncio.wait({self._look_running})

    async def keep_looking(self) -> None:
        """Look again and again, until this task is cancelled."""
        pause = _SHORTEST
        while True:
            await self.look()
            if not self._installation.problem and not self._installation.logged_in:
                await self._ask_login()
            await asyncio.sleep(pause)
            longest = _LONGEST if self._installation.logged_in is not False else _LONGEST_WITHOUT_LOGIN
            well = not self._installation.problem and self._installation.logged_in
            pause = _LONGEST if well else min(pause * 2, longest)

    @property
    def _is_due(self) -> bool:
        if self.looked and not self._installation.problem and _files(self._command) == self._files:
            return False
        return time.monotonic() - self._looked_at >= _SHORTEST

    async def _look(self) -> None:
        """Find the program, and ask it for its version."""
        known = self._installation
        try:
            command = find_command(self._settings.command)
            files = _files(command)
            limit = min(_VERSION_TIMEOUT, self._settings.start_timeout)
            said = await run_once(command, "--version", env=self._settings.env, timeout=limit)
            version = check_version(said.output)
        except ProxyError as error:
            if error.message != known.problem:
                logger.warning("%s", error.message)
            known.problem = error.message
        else:
            if known.problem or known.version not in {"", version}:
                logger.info("the Claude Code CLI is %s now", version)
            self._command, self._files = command, files
            known.command, known.version, known.problem = " ".join(command), version, ""
            known.how_to_log_in = how_to_log_in(command, self._settings.env)
            self._found(command)
        finally:
            self._looked_at = time.monotonic()
            self._look_running = None
            self.looked = True


def _files(command: list[str]) -> _Files | None:
    """Return what identifies the files of a command: its program and, for an interpreter, its script.

    Returns ``None`` if the program is gone.
    """
    found = []
    for number, word in enumerate(command):
        try:
            status = os.stat(word)  # noqa: PTH116  # a few µs faster, and this runs for each request
        except (OSError, ValueError):
            if number == 0:
                return None
            continue
        found.append((status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size))
    return tuple(found)
