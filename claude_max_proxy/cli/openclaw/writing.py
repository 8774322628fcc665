"""Writes a changed configuration to disk: first a backup, then the whole file at once."""

from __future__ import annotations

import difflib
import os
import shutil
import tempfile
import time
from pathlib import Path

from claude_max_proxy import ConfigError


def read(path: Path) -> str:
    """Return the file's text, or an empty object if there is no file.

    Raises :class:`ConfigError` if it is no text.
    """
    try:
        text = path.read_bytes().decode("utf-8")  # this keeps the line ends as they are
    except FileNotFoundError:
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    return text if text.strip() else "{}\n"


def difference(before: str, after: str, path: Path) -> str:
    """Return the difference between the texts as a unified diff."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), str(path), f"{path} (new)"
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def write(path: Path, text: str) -> Path | None:
    """Replace the file's content by ``text``; return the path of the backup, if there was a file.

    The file's mode stays the same. If it is a link, the link stays. Raises :class:`ConfigError` if the file
    cannot be written.
    """
    path = path.resolve()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        backup = _back_up(path) if path.exists() else None
        _replace(path, text)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}") from error
    return backup


def _back_up(path: Path) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    backup = path.with_name(f"{path.name}.{stamp}.bak")
    number = 1
    while backup.exists():
        number += 1
        backup = path.with_name(f"{path.name}.{stamp}-{number}.bak")
    shutil.copy2(path, backup)
    return backup


def _replace(path: Path, text: str) -> None:
    # Only its owner can read this file.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, name)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
