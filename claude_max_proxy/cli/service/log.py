"""Shows the service's log: the one that the service manager keeps, or the file that it writes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import deque
from pathlib import Path
from threading import Event
from typing import IO

import click

from claude_max_proxy import ConfigError
from claude_max_proxy.cli.service.systemd import UNIT


_POLL = 0.5
_READ = 65_536


def follow_journal(lines: int, *, follow: bool) -> int:
    """Show the journal of the unit, and return the exit status of ``journalctl``."""
    if shutil.which("journalctl") is None:
        raise ConfigError("there is no journalctl here, which keeps the log of a systemd service")

    command = ["journalctl", "--user", "--unit", UNIT, "--lines", str(lines), "--output", "cat"]
    return subprocess.run([*command, *(["--follow"] if follow else ["--no-pager"])], check=False).returncode


def follow_file(path: Path, lines: int, *, follow: bool) -> None:
    """Show the last lines of a file and, with ``follow``, what is added, even if the file is replaced."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise ConfigError(f"there is no log yet at {path}: {error.strerror}") from error
    with file:
        click.echo(b"".join(deque(file, maxlen=lines)), nl=False)
        while follow:
            _show_more(file, path)
            sys.stdout.flush()
            Event().wait(_POLL)


def _show_more(file: IO[bytes], path: Path) -> None:
    if path.stat().st_size < file.tell():
        file.seek(0)
    while piece := file.read(_READ):
        click.echo(piece, nl=False)
