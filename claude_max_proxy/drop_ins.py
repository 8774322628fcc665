"""Plugins as single files dropped into a folder, and as installed packages.

A folder or file that somebody else could write to is refused: whoever can write there could run code here.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import logging
import os
import stat
import sys
import traceback
from collections.abc import Iterable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

import msgspec

from claude_max_proxy.errors import ConfigError
from claude_max_proxy.hookspecs import PROJECT
from claude_max_proxy.plugin import Plugin
from claude_max_proxy.plugins import check_hooks


logger = logging.getLogger(__name__)
Stamp = tuple[int, int, int]


def load_entry_points() -> list[Plugin]:
    """Import what installed packages offer under the entry point group ``claude_max_proxy``."""
    plugins = []
    for entry in importlib.metadata.entry_points(group=PROJECT):
        package = entry.dist.name if entry.dist else entry.value
        try:
            plugins.append(Plugin(entry.name, entry.load(), f"package {package}"))
        except Exception as error:  # whatever an import raises is the plugin's fault
            raise ConfigError(f"plugin {entry.name!r} of {package} cannot be imported: {error!r}") from error
    return plugins


class DropIn(msgspec.Struct, frozen=True, eq=False):
    """An imported file, and the stamp of the text that was imported."""

    module: ModuleType
    stamp: Stamp


class DropIns:
    """The drop-in files of some folders. What did not change since ``before`` is not imported again.

    A file that can no longer be used stays as it was; a new one that cannot is left out. Both are
    ``problems``, by path.
    """

    def __init__(self, folders: Iterable[Path], before: DropIns | None = None) -> None:
        """Import every ``*.py`` that does not begin with an underscore, by name.

        A folder that does not exist is an empty one; what others may write to is a :class:`ConfigError`.
        """
        self.files: dict[Path, DropIn] = {}
        self.problems: dict[Path, str] = {}
        for folder in folders:
            if folder.is_dir():
                _refuse_if_writable_by_others(folder)
                for path in sorted(folder.glob("*.py")):
                    if not path.name.startswith("_"):
                        with contextlib.suppress(FileNotFoundError):  # deleted just now
                            self._load(path, before)

    def plugins(self) -> list[Plugin]:
        """Return them as plugins."""
        broken = [path for path in self.problems if path not in self.files]
        return [
            *(
                Plugin(path.stem, file.module, str(path), problem=self.problems.get(path, ""))
                for path, file in self.files.items()
            ),
            *(Plugin(path.stem, None, str(path), problem=self.problems[path]) for path in broken),
        ]

    def _load(self, path: Path, before: DropIns | None) -> None:
        _refuse_if_writable_by_others(path)
        stamp = stamp_of(path)
        old = before.files.get(path) if before else None
        if before and old and old.stamp == stamp:
            self.files[path] = old
            if problem := before.problems.get(path):
                self.problems[path] = problem
            return

        try:
            self.files[path] = DropIn(_import(path), stamp)
        except ConfigError as error:
            self.problems[path] = str(error)
            logger.error("%s%s", error, "; the version before stays in use" if old else "")
            if old:
                self.files[path] = DropIn(old.module, stamp)


def stamp_of(path: Path) -> Stamp:
    """Return what changes when a file is written: its time, size and inode; zeros when it is not there."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def _import(path: Path) -> ModuleType:
    name = f"claude_max_proxy_drop_in_{path.stem}"
    loader = _Source(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None  # the loader is given
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
        check_hooks(Plugin(path.stem, module, str(path)))
    except (Exception, SystemExit) as error:  # whatever an import raises is the plugin's fault
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"plugin {path}{_line(error, path)} cannot be imported: {error!r}") from error
    return module


class _Source(SourceFileLoader):
    """Reads the file itself: cached bytecode would hide a change within the same second."""

    def get_code(self, fullname: str) -> CodeType | None:  # noqa: ARG002  # the loader's interface
        """Compile it, and write nothing beside it."""
        return self.source_to_code(self.get_data(self.path), self.path)


def _line(error: BaseException, path: Path) -> str:
    """Say where in the file it failed, as ``:12``."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f":{error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f":{frames[-1].lineno}" if frames else ""


def _refuse_if_writable_by_others(path: Path) -> None:
    if os.name != "posix":
        return

    status = path.stat()
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not _only_owners_group(status):
        raise ConfigError(f"plugins: {path} is writable by others; run: chmod go-w {path}")
    if status.st_uid not in (0, os.getuid()):
        raise ConfigError(f"plugins: {path} belongs to another user, so its code is not run")


def _only_owners_group(status: os.stat_result) -> bool:
    """Tell whether write access is the owner's private group alone, as many distributions set it up."""
    return not status.st_mode & stat.S_IWOTH and status.st_gid == status.st_uid
